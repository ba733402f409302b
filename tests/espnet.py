"""ESPNet as a user would bring it: an architecture of their own for a state dict.

Source: Mehta et al., ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation, ECCV 2018.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

DILATIONS = (2, 4, 8, 16)

BatchNorm = partial(nn.BatchNorm2d, eps=1e-3)


class Convolution(nn.Module):
    """A dilated convolution that keeps the size, or halves it."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = (kernel - 1) // 2 * dilation
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, dilation=dilation, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """(B, before, h, w) -> (B, after, h / stride, w / stride)."""
        return self.conv(values)  # type: ignore[no-any-return]


class Activation(nn.Module):
    """Batch norm and PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = BatchNorm(channels)
        self.act = nn.PReLU(channels)

    def forward(self, values: Tensor) -> Tensor:
        """Keeps the shape."""
        return self.act(self.bn(values))  # type: ignore[no-any-return]


class ActivatedConvolution(nn.Module):
    """Convolution, batch norm, PReLU."""

    def __init__(self, before: int, after: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, bias=False)
        self.bn = BatchNorm(after)
        self.act = nn.PReLU(after)

    def forward(self, values: Tensor) -> Tensor:
        """(B, before, h, w) -> (B, after, h / stride, w / stride)."""
        return self.act(self.bn(self.conv(values)))  # type: ignore[no-any-return]


class Pyramid(nn.Module):
    """A pyramid of dilated convolutions; the larger ones are summed up before they are joined."""

    def __init__(self, before: int, after: int, *, halves: bool = False) -> None:
        super().__init__()
        narrow = after // 5
        self.c1 = Convolution(before, narrow, 3, stride=2) if halves else Convolution(before, narrow, 1)
        self.d1 = Convolution(narrow, after - 4 * narrow, 3)
        for dilation in DILATIONS:
            self.add_module(f"d{dilation}", Convolution(narrow, narrow, 3, dilation=dilation))
        if halves:
            self.bn, self.act = BatchNorm(after), nn.PReLU(after)
        else:
            self.bn = Activation(after)
        self.halves = halves
        self.adds = not halves and before == after

    def forward(self, values: Tensor) -> Tensor:
        """(B, before, h, w) -> (B, after, h, w), or half the size."""
        narrow = self.c1(values)
        parts = [self.d1(narrow)]
        total: Tensor | float = 0.0
        for dilation in DILATIONS:
            total = getattr(self, f"d{dilation}")(narrow) + total
            parts.append(total)
        joined = torch.cat(parts, 1)
        if self.adds:
            joined = values + joined
        normed = self.bn(joined)
        return self.act(normed) if self.halves else normed  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Three levels at half, a quarter and an eighth of the size."""

    def __init__(self, num_classes: int, depths: tuple[int, int]) -> None:
        super().__init__()
        self.level1 = ActivatedConvolution(3, 16, 3, stride=2)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.b1 = Activation(19)
        self.level2_0 = Pyramid(19, 64, halves=True)
        self.level2 = nn.ModuleList(Pyramid(64, 64) for _ in range(depths[0]))
        self.b2 = Activation(131)
        self.level3_0 = Pyramid(131, 128, halves=True)
        self.level3 = nn.ModuleList(Pyramid(128, 128) for _ in range(depths[1]))
        self.b3 = Activation(256)
        self.classifier = Convolution(256, num_classes, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, h, w) -> (B, 19, h / 2, w / 2), (B, 131, h / 4, w / 4), (B, K, h / 8, w / 8)."""
        half = self.pool(image)
        first = self.b1(torch.cat([self.level1(image), half], 1))
        second = start = self.level2_0(first)
        for layer in self.level2:
            second = layer(second)
        second = self.b2(torch.cat([second, start, self.pool(half)], 1))
        third = start = self.level3_0(second)
        for layer in self.level3:
            third = layer(third)
        return first, second, self.classifier(self.b3(torch.cat([start, third], 1)))


class EspNet(nn.Module):
    """Encoder and a light decoder."""

    def __init__(self, num_classes: int, depths: tuple[int, int]) -> None:
        super().__init__()
        self.encoder = Encoder(num_classes, depths)
        self.level3_C = Convolution(131, num_classes, 1)
        self.br = BatchNorm(num_classes)
        self.conv = ActivatedConvolution(19 + num_classes, num_classes, 3)
        self.up_l3 = nn.Sequential(doubled(num_classes))
        self.combine_l2_l3 = nn.Sequential(Activation(2 * num_classes), Pyramid(2 * num_classes, num_classes))
        self.up_l2 = nn.Sequential(doubled(num_classes), Activation(num_classes))
        self.classifier = doubled(num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, K, h, w) logits."""
        first, second, third = self.encoder(image)
        joined = torch.cat([self.level3_C(second), self.up_l3(self.br(third))], 1)
        up = self.up_l2(self.combine_l2_l3(joined))
        return self.classifier(self.conv(torch.cat([up, first], 1)))  # type: ignore[no-any-return]


def doubled(channels: int) -> nn.Module:
    """Twice the size."""
    return nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=False)


def build_espnet(*, num_classes: int, depths: tuple[int, int] = (2, 8)) -> nn.Module:
    """ESPNet with ``depths`` blocks at a quarter and an eighth of the size."""
    return EspNet(num_classes, depths)
