"""What a package says of where its model comes from: the format of the weights, and the module they belong to."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from inference_core.hook_spec import ImportPath
from inference_core.validation import Frozen

Format = Literal[
    "state_dict",
    "lightning",
    "timm",
    "huggingface",
    "torchscript",
    "torch_export",
    "onnx",
    "openvino",
    "savedmodel",
    "tflite",
    "keras",
    "ensemble",
]

ARCHITECTURE_FORMATS: tuple[Format, ...] = ("state_dict", "lightning", "timm")
"""Those that hold tensors alone."""
LAYERED_FORMATS: tuple[Format, ...] = (*ARCHITECTURE_FORMATS, "huggingface")
"""Those whose models are modules made of layers, which can be switched one by one."""
TIMM_PREFIX = "timm:"
"""In front of the name of one of timm's architectures, where others have names too."""


class ArchitectureSpec(Frozen):
    """Which module a state dict belongs to: a built-in name, one of timm's, or any factory by import path."""

    name: str | None = None
    """Built-in architecture, e.g. ``unet``, or ``timm:`` and a name of timm; with format ``timm`` that name alone."""
    import_path: ImportPath | None = Field(default=None, alias="import")
    """``package.module:callable`` in the user's environment, or ``./file.py:callable`` in the package, which runs only
    where its code is trusted; called with ``options``, returns the module."""
    options: dict[str, Any] = Field(default_factory=dict)
    hyper_parameters: bool | tuple[str, ...] = False
    """Format ``lightning``: which of the checkpoint's hyper-parameters are options too: all that the factory names,
    or those listed. ``options`` win over them."""
    prefix: str | None = None
    """In front of the architecture's own names in the weights, such as ``model.``; what lies outside of it is left out.
    By default it is found."""

    @model_validator(mode="after")
    def _check_one_source(self) -> ArchitectureSpec:
        if (self.name is None) == (self.import_path is None):
            raise ValueError("must have exactly one of 'name' and 'import'; name a built-in or an import path")
        if self.hyper_parameters is True and self.name is not None and self.name.startswith(TIMM_PREFIX):
            raise ValueError("hyper_parameters must be a list with an architecture of timm, which takes any; name them")
        return self
