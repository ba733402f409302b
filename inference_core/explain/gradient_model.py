"""A model that gradients go through: a copy of the package's module of its own, in fp32."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inference_core.architecture_spec import LAYERED_FORMATS
from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.normalize import TensorNormalizer
from inference_core.engines.torch_engine import FORWARD_ERRORS, first_line, name_outputs
from inference_core.errors import InferError, OutOfMemoryError
from inference_core.explain.no_layer import NoLayerError
from inference_core.models.package import ModelPackage
from inference_core.models.torch_module import build_module
from inference_core.records import Uint8Array

NO_DERIVATIVE = re.compile("derivative for .* is not implemented|not differentiable")
"""What torch says of operations that were made for inference alone, such as those of frozen scripts."""


class GradientModel:
    """A package's module for explanations alone, so that hooks on it disturb no forward of others.

    Args:
        package: of a format that torch runs.
        device: a torch device name.

    Raises:
        ConfigError: the architecture cannot be built, or an extra is not installed.
        ModelError: the weights do not fit.
    """

    def __init__(self, package: ModelPackage, *, device: str) -> None:
        self.device = device
        self.has_layers = package.spec.format in LAYERED_FORMATS
        """Whether its modules can be hooked; of graphs there are only operations."""
        built = build_module(package, device=device)
        self.module: nn.Module = built.module.to(device)
        if self.has_layers:
            self.module = self.module.float()
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        self._max_batch = built.max_batch
        self._normalizer = TensorNormalizer(package.spec.input, device=device)

    def normalize(self, tiles: Uint8Array) -> Tensor:
        """Tiles (B, h, w, C) uint8 as the model's input, float32 on its device."""
        pixels = torch.from_numpy(np.require(tiles, requirements=["C", "W"])).to(self.device)
        return self._normalizer.normalize(pixels).contiguous()

    def forward(self, values: Tensor, *, keeps_masks: bool = False) -> dict[str, Tensor]:
        """The model's outputs by name, with gradients where they are wanted.

        Raises:
            InferError: the model refused the batch.
            OutOfMemoryError: it does not fit the device.
        """
        with forward_errors():
            if self._max_batch is None:
                return self._run(values, keeps_masks=keeps_masks)
            parts = [self._run_filled(part, keeps_masks=keeps_masks) for part in torch.split(values, self._max_batch)]
            return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def num_filled(self, count: int) -> int:
        """How many images the forward of a batch takes: those of a graph may be fixed."""
        return count if self._max_batch is None else self._max_batch

    def _run(self, values: Tensor, *, keeps_masks: bool) -> dict[str, Tensor]:
        raw: Any = self.module(values)
        return name_outputs(raw, keeps_masks=keeps_masks)

    def _run_filled(self, values: Tensor, *, keeps_masks: bool) -> dict[str, Tensor]:
        """A batch of at most the size that the graph fixes, filled up with blank images."""
        missing = self.num_filled(len(values)) - len(values)
        filled = torch.cat([values, values.new_zeros((missing, *values.shape[1:]))]) if missing else values
        return {name: output[: len(values)] for name, output in self._run(filled, keeps_masks=keeps_masks).items()}

    def __str__(self) -> str:
        return f"torch on {self.device}, fp32"


@contextmanager
def forward_errors() -> Iterator[None]:
    """What the code of a model raises, as an error of the image.

    Raises:
        NoLayerError: an operation has no gradient.
        InferError: for most.
        OutOfMemoryError: where memory is not enough.
    """
    try:
        yield
    except FORWARD_ERRORS as exc:
        if NO_DERIVATIVE.search(str(exc)):
            raise NoLayerError(
                f"the method needs gradients, which an operation of the model does not give ({first_line(exc)}); take "
                "occlusion",
                key="method",
            ) from exc
        if is_out_of_memory(exc):
            raise OutOfMemoryError(
                "the gradients of the image do not fit the device's memory; lower its size, or take occlusion"
            ) from exc
        raise InferError(f"the model refused the image: {first_line(exc)}") from exc
