"""Pixels to the model's input values: ``(pixel / scale - mean) / std``, on the device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inference_core.spec import InputSpec


class Normalizer(nn.Module):
    """Turns uint8 BHWC batches into float batches in the model's layout and channel order."""

    gain: Tensor
    bias: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        mean = torch.tensor(spec.mean, dtype=torch.float64).expand(spec.num_channels)
        std = torch.tensor(spec.std, dtype=torch.float64).expand(spec.num_channels)
        self.register_buffer("gain", (1.0 / (spec.scale * std)).float())  # (C,)
        self.register_buffer("bias", (-mean / std).float())  # (C,)
        self.is_bgr = spec.color == "bgr"
        self.is_bchw = spec.layout == "BCHW"

    def forward(self, batch: Tensor) -> Tensor:
        """Normalise.

        Args:
            batch: (B, h, w, C) uint8, RGB or gray.

        Returns:
            float32, (B, C, h, w) in channels-last memory, or (B, h, w, C).
        """
        if self.is_bgr:
            batch = batch.flip(-1)
        values = torch.addcmul(self.bias, batch.float(), self.gain)  # (B, h, w, C)
        return values.permute(0, 3, 1, 2) if self.is_bchw else values
