"""The U-Net of orobix/retina-unet as a user would bring it: an architecture of their own for a state dict."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = ((1, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128), (192, 64), (64, 64), (96, 32), (32, 32))


class RetinaUnet(nn.Module):
    """Two levels down and up again; a ReLU behind the last convolution too."""

    def __init__(self) -> None:
        super().__init__()
        for index, (before, after) in enumerate(CHANNELS, start=1):
            self.add_module(f"conv{index}", nn.Conv2d(before, after, 3, padding=1))
        self.conv11 = nn.Conv2d(32, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, h, w) -> (B, 2, h, w)."""
        top = self._pair(image, 1)
        middle = self._pair(F.max_pool2d(top, 2), 3)
        bottom = self._pair(F.max_pool2d(middle, 2), 5)
        middle = self._pair(torch.cat([F.interpolate(bottom, scale_factor=2.0), middle], 1), 7)
        top = self._pair(torch.cat([F.interpolate(middle, scale_factor=2.0), top], 1), 9)
        return F.relu(self.conv11(top))

    def _pair(self, values: Tensor, first: int) -> Tensor:
        for index in (first, first + 1):
            values = F.relu(getattr(self, f"conv{index}")(values))
        return values


def build_retina_unet() -> nn.Module:
    """The network without weights."""
    return RetinaUnet()
