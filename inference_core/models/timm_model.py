"""Build architectures of timm by name, without the network."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inference_core.architecture_spec import TIMM_PREFIX, ArchitectureSpec
from inference_core.errors import ConfigError
from inference_core.output_spec import TaskName

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME_KEY = "architecture.name"

FETCHING_OPTIONS = ("pretrained", "checkpoint_path", "cache_dir")
"""Arguments of ``timm.create_model`` that would load other weights than the package's."""

MAX_NEAR_NAMES = 3

BUILD_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What the code of an architecture was seen to raise for options that do not fit."""


def import_timm() -> Any:
    """The library.

    Raises:
        ConfigError: it is not installed, or its torchvision does not fit torch.
    """
    try:
        import timm
        import timm.data
        import timm.models
    except ImportError as exc:
        raise ConfigError("format timm needs timm; pip install 'millrace[timm]'") from exc
    except RuntimeError as exc:  # torchvision of another build of torch fails so on import
        raise ConfigError(
            f"format timm needs a timm that can be imported, got: {exc}; install the torchvision that fits this torch"
        ) from exc
    return timm


def build_timm(architecture: str, /, **options: Any) -> nn.Module:
    """The architecture with random weights.

    Args:
        architecture: name of timm, with or without the tag of its weights (``resnet18.a1_in1k``).
        options: further arguments of ``timm.create_model``, such as ``num_classes``, ``in_chans`` and ``img_size``.

    Raises:
        ConfigError: timm is not installed, has no such architecture, or refuses the options.
    """
    timm = import_timm()
    check_name(architecture, timm=timm)
    fetching = [key for key in options if key in FETCHING_OPTIONS or key.startswith("pretrained_")]
    if fetching:
        raise ConfigError(
            f"must be without {', '.join(fetching)}, since the weights are the package's; remove it",
            key="architecture.options",
        )
    try:
        module: nn.Module = timm.create_model(architecture, pretrained=False, **options)
    except BUILD_ERRORS as exc:
        raise ConfigError(
            f"timm's {architecture} refused the options {options}: {exc}; correct them", key="architecture"
        ) from exc
    return module


def check_name(name: str, *, timm: Any) -> None:
    """Raise ConfigError with near matches unless timm has the architecture itself."""
    if ":" not in name and "/" not in name and timm.is_model(name):
        return
    near = difflib.get_close_matches(name.partition(".")[0], timm.list_models(), n=MAX_NEAR_NAMES)
    hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists them"
    raise ConfigError(f"must be an architecture of timm {timm.__version__}, got {name!r}; {hint}", key=NAME_KEY)


def timm_architecture(spec: ArchitectureSpec, *, task: TaskName) -> ArchitectureSpec:
    """The architecture of format ``timm``; for an embedding without a classifier, unless the options say otherwise."""
    options = {"num_classes": 0, **spec.options} if task == "embedding" else spec.options
    return spec.model_copy(update={"name": f"{TIMM_PREFIX}{spec.name}", "options": options})


def drop_classifier(state: Mapping[str, Tensor], module: nn.Module) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Tensors without those of the classifier that a module with ``num_classes: 0`` was built without."""
    facts = getattr(module, "pretrained_cfg", None) or {}
    names = facts.get("classifier") or ()
    heads = tuple(f"{head}." for head in ([names] if isinstance(names, str) else names))
    if getattr(module, "num_classes", None) != 0 or not heads:
        return dict(state), ()
    expected = module.state_dict()
    dropped = sorted(key for key in state if key.startswith(heads) and key not in expected)
    kept = {key: tensor for key, tensor in state.items() if key not in set(dropped)}
    return kept, (f"left out the classifier ({', '.join(dropped)})",) if dropped else ()
