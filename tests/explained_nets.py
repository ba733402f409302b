"""Torch modules whose explanations are known, and packages of them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from inference_core.models.package import ModelPackage, load_package
from tests.asset_packages import write_package


class Hand(nn.Module):
    """One convolution whose two maps are the red and the green channel, summed with weights: all can be reckoned."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 2, 1, bias=False)
        self.maps.weight.data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])[..., None, None]
        self.head = nn.Linear(2, 2, bias=False)
        self.head.weight.data = torch.tensor([[2.0, -1.0], [0.0, 3.0]])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 2)."""
        return self.head(self.maps(images).mean((2, 3)))  # type: ignore[no-any-return]


class Corner(nn.Module):
    """Only the brightness of the lower right quarter decides."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(6.0))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 2)."""
        height, width = images.shape[2:]
        bright = images[:, :, height // 2 :, width // 2 :].mean((1, 2, 3))
        return torch.stack([1 - bright, bright], dim=1) * self.gain


class Deep(nn.Module):
    """Convolutions with batch norm, activations in place, and a block that adds up, as real nets have them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8))
        self.activation = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 4)."""
        features = self.stem(images)
        features = self.activation(self.block(features) + features)
        return self.head(features.mean((2, 3)))  # type: ignore[no-any-return]


class Planes(nn.Module):
    """Three classes for every pixel, through a bottleneck of half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 6, 3, 2, 1)
        self.up = nn.ConvTranspose2d(6, 6, 2, 2)
        self.head = nn.Conv2d(6, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 3, h, w)."""
        return self.head(torch.relu(self.up(torch.relu(self.down(images)))))  # type: ignore[no-any-return]


class Cells(nn.Module):
    """A detector of bright things: one box for each cell of 8 pixels, in the rows of YOLOv8; two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.Conv2d(3, 4, 8, 8, bias=False)
        self.pool.weight.data.fill_(1 / 192)
        self.scores = nn.Conv2d(4, 2, 1)
        self.scores.weight.data = torch.tensor([[3.0] * 4, [-2.0] * 4])[..., None, None]
        self.scores.bias.data = torch.tensor([-6.0, -4.0])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 6, N)."""
        scores = torch.sigmoid(self.scores(self.pool(images)))
        count, _, rows, columns = scores.shape
        ys, xs = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centers = torch.stack([xs, ys]).float() * 8 + 4
        boxes = torch.cat([centers, torch.full_like(centers, 10.0)]).expand(count, -1, -1, -1)
        return torch.cat([boxes, scores], dim=1).flatten(2)


class Attending(nn.Module):
    """Patches, a class token and a layer of attention: what the class token sees tells the class."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last_norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 3)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        seen = self.norm(tokens)
        tokens = tokens + self.attention(seen, seen, seen, need_weights=False)[0]
        return self.head(self.last_norm(tokens)[:, 0])  # type: ignore[no-any-return]


class Wide(nn.Module):
    """A convolution and its activation by other names than those of Deep."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 5, 4, 2), nn.ReLU())
        self.head = nn.Linear(6, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, num_classes)."""
        return self.head(self.body(images).mean((2, 3)))  # type: ignore[no-any-return]


class Dropping(Deep):
    """Deep, with units that can be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 4)."""
        features = self.stem(images)
        features = self.activation(self.block(features) + features)
        return self.head(self.dropout(features.mean((2, 3))))  # type: ignore[no-any-return]


class Severed(Deep):
    """Deep, with the features cut off from gradients, as code for inference alone has them."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 4)."""
        return self.head(self.stem(images).detach().mean((2, 3)))  # type: ignore[no-any-return]


class Underived(Deep):
    """Deep, with an operation that torch has no gradient of."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 4)."""
        features = self.stem(images).abs() + 1
        return self.head(torch.igamma(features, features).mean((2, 3)))  # type: ignore[no-any-return]


class Gated(nn.Module):
    """A convolution that only images which are not dark reach the answer through."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(3, 4, 3, 1, 1)
        self.head = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 2)."""
        is_bright = images.mean((1, 2, 3), keepdim=True) > 0.1
        return self.head((self.maps(images) * is_bright).mean((2, 3)))  # type: ignore[no-any-return]


class Flat(nn.Module):
    """No convolution at all."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 2)."""
        return self.head(F.relu(images).mean((2, 3)))  # type: ignore[no-any-return]


NETS: dict[str, Callable[[], nn.Module]] = {
    "hand": Hand,
    "corner": Corner,
    "deep": Deep,
    "planes": Planes,
    "cells": Cells,
    "attending": Attending,
    "flat": Flat,
    "dropping": Dropping,
    "severed": Severed,
    "underived": Underived,
    "gated": Gated,
    "wide": Wide,
    "three": lambda: Wide(3),
}
PLAIN: dict[str, dict[str, Any]] = {
    "hand": {"task": "classification", "classes": ["red", "green"]},
    "corner": {"task": "classification", "classes": ["dark", "bright"]},
    "deep": {"task": "classification", "classes": ["a", "b", "c", "d"]},
    "planes": {"task": "segmentation", "classes": ["none", "one", "two"]},
    "cells": {
        "task": "detection",
        "classes": ["lamp", "hole"],
        "output": {"decoder": {"name": "yolov8"}, "threshold": 0.2},
    },
    "attending": {"task": "classification", "classes": ["a", "b", "c"]},
    "flat": {"task": "classification", "classes": ["a", "b"]},
    "dropping": {"task": "classification", "classes": ["a", "b", "c", "d"]},
    "severed": {"task": "classification", "classes": ["a", "b", "c", "d"]},
    "underived": {"task": "classification", "classes": ["a", "b", "c", "d"]},
    "gated": {"task": "classification", "classes": ["a", "b"]},
    "wide": {"task": "classification", "classes": ["a", "b", "c", "d"]},
    "three": {"task": "classification", "classes": ["a", "b", "c"]},
}


def build_net(kind: str) -> nn.Module:
    """One of NETS, its weights the same in every run; a package names it by import path."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return NETS[kind]().eval()


def explained_package(folder: Path, kind: str, *, side_px: int = 32, **spec: Any) -> ModelPackage:
    """A package of one of NETS, with ``spec`` on top of what is plain for it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(build_net(kind).state_dict(), folder / "net.pth")
    facts = {
        "name": kind,
        "format": "state_dict",
        "weights": "net.pth",
        "architecture": {"import": "tests.explained_nets:build_net", "options": {"kind": kind}},
        "input": {"fit": "stretch", "size_hw": [side_px, side_px]},
        **PLAIN[kind],
        **spec,
    }
    return load_package(str(write_package(folder, facts)))


def graph_package(folder: Path, kind: str, *, weights_format: str, side_px: int = 32, batch: int = 0) -> ModelPackage:
    """The same net without its layers: as ``torchscript`` or ``torch_export``.

    Args:
        folder: of the package.
        kind: one of NETS.
        weights_format: as which graph.
        side_px: of its input.
        batch: images in each forward of an exported program; 0 for any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    net, example = build_net(kind), torch.rand(batch or 2, 3, side_px, side_px)
    if weights_format == "torch_export":
        sizes = None if batch else ({0: torch.export.Dim("batch")},)
        torch.export.save(torch.export.export(net, (example,), dynamic_shapes=sizes), folder / "net.pt2")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch would have everyone export instead
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of what depends on the size, which stays
            script = torch.jit.trace(net, example, check_trace=False)
            torch.jit.save(script, folder / "net.pt2")
    facts = {
        "name": kind,
        "format": weights_format,
        "weights": "net.pt2",
        "input": {"fit": "stretch", "size_hw": [side_px, side_px]},
        **PLAIN[kind],
    }
    return load_package(str(write_package(folder, facts)))


def ensemble_package(root: Path, weights: dict[str, float], **facts: Any) -> ModelPackage:
    """An ensemble of the packages that lie below ``root``, by folder and weight."""
    members = [{"package": f"../{name}", "weight": weight} for name, weight in weights.items()]
    spec = {"name": "both", "format": "ensemble", "ensemble": {"members": members}, **facts}
    return load_package(str(write_package(root / "both", spec)))
