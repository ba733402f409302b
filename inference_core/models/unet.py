"""The U-Net whose state dicts are the most common ones in the wild: ``inc``, ``down1..N``, ``up1..N``, ``outc``.

Key names, padding of odd sizes and the ``bilinear`` variant are those of milesial/Pytorch-UNet, so that its
checkpoints load strictly; depth and widths are free here.

Source: Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import nn
from torch.nn import functional as F

from inference_core.errors import ConfigError

Upsampling = Literal["transpose", "bilinear"]


def build_unet(
    *,
    in_channels: int,
    num_classes: int,
    widths: Sequence[int] = (64, 128, 256, 512, 1024),
    upsampling: Upsampling = "transpose",
) -> nn.Module:
    """Build a U-Net with fresh weights.

    Args:
        in_channels: channels of the input, >= 1.
        num_classes: channels of the output, >= 1; 1 for a single sigmoid map.
        widths: channels per level, full resolution first; one step down for each after the first.
        upsampling: ``transpose`` learns the step up, ``bilinear`` interpolates and halves the deepest width.

    Returns:
        A module (B, in_channels, H, W) float -> (B, num_classes, H, W) float logits, for any H and W of at least
        ``2 ** (len(widths) - 1)``.

    Raises:
        ConfigError: an option breaks its rule.
    """
    _check_count("in_channels", in_channels)
    _check_count("num_classes", num_classes)
    _check_widths(widths)
    if upsampling not in get_args(Upsampling):
        raise ConfigError(f"must be transpose or bilinear, got {upsampling!r}; choose one", key="upsampling")
    return UNet(in_channels=in_channels, num_classes=num_classes, widths=tuple(widths), upsampling=upsampling)


class UNet(nn.Module):
    """Encoder, decoder and skips. Build it with ``build_unet``, which checks the options."""

    def __init__(self, *, in_channels: int, num_classes: int, widths: tuple[int, ...], upsampling: Upsampling) -> None:
        super().__init__()
        self.depth = len(widths) - 1
        # Bilinear steps keep the channel count, so the level below has to arrive with half of its width.
        shrink = 2 if upsampling == "bilinear" else 1
        encoder = [*widths[:-1], widths[-1] // shrink]
        decoder = [width // shrink for width in widths]
        decoder[0] = widths[0]
        self.inc = DoubleConv(in_channels, encoder[0])
        for step, (wide, wider) in enumerate(pairwise(encoder), start=1):
            self.add_module(f"down{step}", Down(wide, wider))
        for step, level in enumerate(reversed(range(self.depth)), start=1):
            up = Up(below=decoder[level + 1], skip=encoder[level], out=decoder[level], upsampling=upsampling)
            self.add_module(f"up{step}", up)
        self.outc = OutConv(widths[0], num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give (B, K, H, W) logits for (B, C, H, W) float images."""
        features = self.inc(images)
        skips: list[torch.Tensor] = []
        for step in range(1, self.depth + 1):
            skips.append(features)
            features = self.get_submodule(f"down{step}")(features)
        for step in range(1, self.depth + 1):
            features = self.get_submodule(f"up{step}")(features, skips.pop())
        logits: torch.Tensor = self.outc(features)
        return logits


class DoubleConv(nn.Module):
    """Twice: 3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, mid_channels: int | None = None) -> None:
        super().__init__()
        mid = mid_channels or out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        out: torch.Tensor = self.double_conv(features)
        return out


class Down(nn.Module):
    """Halve height and width, then DoubleConv."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(in_channels, out_channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, in, H, W) -> (B, out, H // 2, W // 2)."""
        out: torch.Tensor = self.maxpool_conv(features)
        return out


class Up(nn.Module):
    """Double the level below, pad it to the skip's size, join both, then DoubleConv."""

    def __init__(self, *, below: int, skip: int, out: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.up: nn.Module
        if upsampling == "bilinear":
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(skip + below, out, (skip + below) // 2)
        else:
            self.up = nn.ConvTranspose2d(below, below // 2, kernel_size=2, stride=2)
            self.conv = DoubleConv(skip + below // 2, out)

    def forward(self, below: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """(B, below, H', W') and (B, skip, H, W) -> (B, out, H, W)."""
        raised = self.up(below)
        missing_y = skip.shape[2] - raised.shape[2]
        missing_x = skip.shape[3] - raised.shape[3]
        left, top = missing_x // 2, missing_y // 2
        raised = F.pad(raised, [left, missing_x - left, top, missing_y - top])
        out: torch.Tensor = self.conv(torch.cat([skip, raised], dim=1))
        return out


class OutConv(nn.Module):
    """One 1x1 convolution to the classes."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_classes, kernel_size=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, in, H, W) -> (B, K, H, W)."""
        logits: torch.Tensor = self.conv(features)
        return logits


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"must be a whole number of at least 1, got {value!r}; correct it", key=name)


def _check_widths(widths: Sequence[int]) -> None:
    if len(widths) < 2:
        raise ConfigError(f"must name at least 2 levels, got {list(widths)}; add a width per level", key="widths")
    for width in widths:
        _check_count("widths", width)
    if any(width % 2 for width in widths[1:]):
        raise ConfigError(f"must be even after the first, got {list(widths)}; the steps up halve them", key="widths")
