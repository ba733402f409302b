"""A model that gradients go through: a copy of the package's module of its own, in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.normalize import TensorNormalizer
from inference_core.engines.torch_engine import FORWARD_ERRORS, first_line, name_outputs
from inference_core.errors import InferError, OutOfMemoryError
from inference_core.models.package import ModelPackage
from inference_core.models.torch_module import build_module
from inference_core.records import Uint8Array


class GradientModel:
    """A package's module for explanations alone, so that hooks on it disturb no forward of others.

    Args:
        package: of a format that has layers.
        device: a torch device name.

    Raises:
        ConfigError: the architecture cannot be built, or an extra is not installed.
        ModelError: the weights do not fit.
    """

    def __init__(self, package: ModelPackage, *, device: str) -> None:
        self.device = device
        self.module: nn.Module = build_module(package, device=device).module.to(device, torch.float32)
        self.module.requires_grad_(False)
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
            raw: Any = self.module(values)
            return name_outputs(raw, keeps_masks=keeps_masks)

    def __str__(self) -> str:
        return f"torch on {self.device}, fp32"


@contextmanager
def forward_errors() -> Iterator[None]:
    """What the code of a model raises, as an error of the image.

    Raises:
        InferError: for most.
        OutOfMemoryError: where memory is not enough.
    """
    try:
        yield
    except FORWARD_ERRORS as exc:
        if is_out_of_memory(exc):
            raise OutOfMemoryError(
                "the gradients of the image do not fit the device's memory; lower its size, or take occlusion"
            ) from exc
        raise InferError(f"the model refused the image: {first_line(exc)}") from exc
