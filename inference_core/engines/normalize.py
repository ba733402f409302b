"""Pixels to the model's input values: ``(pixel / scale - mean) / std``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inference_core.input_spec import InputSpec
from inference_core.records import FloatArray, Uint8Array

if TYPE_CHECKING:
    from torch import Tensor


def value_table(spec: InputSpec) -> FloatArray:
    """The input value of every pixel value: (C, 256) float32, channels in the model's order, rounded once."""
    pixels = np.arange(256, dtype=np.float64) / spec.scale
    mean = np.broadcast_to(np.asarray(spec.mean, np.float64), (spec.num_channels,))
    std = np.broadcast_to(np.asarray(spec.std, np.float64), (spec.num_channels,))
    return ((pixels - mean[:, None]) / std[:, None]).astype(np.float32)


def channel_order(spec: InputSpec) -> tuple[int, ...]:
    """For each channel of the model, the channel of the RGB or gray pixels."""
    return (2, 1, 0) if spec.color == "bgr" else tuple(range(spec.num_channels))


class ArrayNormalizer:
    """Turns uint8 BHWC batches into the model's values by looking every one up: exact, and laid out in one pass.

    Args:
        spec: the package's input.
        table: (C, 256) the value of every pixel value, in the dtype that the model takes; by default ``value_table``.
    """

    def __init__(self, spec: InputSpec, *, table: NDArray[Any] | None = None) -> None:
        self._table = value_table(spec) if table is None else table
        self._order = channel_order(spec)
        self._is_bchw = spec.layout == "BCHW"

    def normalize(self, batch: Uint8Array) -> NDArray[Any]:
        """The model's input.

        Args:
            batch: (B, h, w, C) uint8, RGB or gray; not modified.

        Returns:
            (B, C, h, w) or (B, h, w, C) in the table's dtype, contiguous.
        """
        count, height, width, channels = batch.shape
        shape = (count, channels, height, width) if self._is_bchw else (count, height, width, channels)
        values = np.empty(shape, self._table.dtype)
        planes = values.transpose(0, 2, 3, 1) if self._is_bchw else values  # (B, h, w, C)
        for channel, source in enumerate(self._order):
            planes[..., channel] = self._table[channel][batch[..., source]]
        return values


class TensorNormalizer:
    """The same on a torch device, by arithmetic: within one rounding of the table.

    Args:
        spec: the package's input.
        device: where batches are normalised.
    """

    def __init__(self, spec: InputSpec, *, device: str) -> None:
        import torch

        mean = torch.tensor(spec.mean, dtype=torch.float64).expand(spec.num_channels)
        std = torch.tensor(spec.std, dtype=torch.float64).expand(spec.num_channels)
        self._gain = (1.0 / (spec.scale * std)).float().to(device)  # (C,)
        self._bias = (-mean / std).float().to(device)  # (C,)
        self._is_bgr = spec.color == "bgr"
        self._is_bchw = spec.layout == "BCHW"

    def normalize(self, batch: Tensor) -> Tensor:
        """The model's input.

        Args:
            batch: (B, h, w, C) uint8 on the device.

        Returns:
            float32: (B, C, h, w) in channels-last memory, or (B, h, w, C).
        """
        import torch

        if self._is_bgr:
            batch = batch.flip(-1)
        values = torch.addcmul(self._bias, batch.float(), self._gain)  # (B, h, w, C)
        return values.permute(0, 3, 1, 2) if self._is_bchw else values
