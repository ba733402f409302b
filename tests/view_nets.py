"""Torch modules whose answers to views, and to dropout, are known; and packages of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inference_core.models.package import ModelPackage, load_package
from tests.asset_packages import write_package


class LeftRight(nn.Module):
    """Which half of an image is brighter: a mirror exchanges the classes."""

    def __init__(self, gain: float = 8.0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 2)."""
        half = images.shape[3] // 2
        return torch.stack([images[..., :half].mean((1, 2, 3)), images[..., half:].mean((1, 2, 3))], dim=1) * self.gain


class Shade(nn.Module):
    """How bright each pixel is: one plane of logits, whatever the view."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(10.0))

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 1, h, w)."""
        return (images.mean(1, keepdim=True) - 0.5) * self.gain


class Dropping(nn.Module):
    """A small net with batch norm and a dropout layer of some kind.

    Args:
        layer: name of the layer in torch.nn; "" for none.
        rate: share that it leaves out.
    """

    def __init__(self, layer: str = "Dropout", rate: float = 0.5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = getattr(nn, layer)(rate) if layer else nn.Identity()
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 3)."""
        features = self.drop(torch.relu(self.norm(self.conv(images))))
        return self.head(features).mean((2, 3)) * 5  # type: ignore[no-any-return]


NETS = {"left_right": LeftRight, "shade": Shade, "dropping": Dropping}
PLAIN: dict[str, dict[str, Any]] = {
    "left_right": {"task": "classification", "classes": ["left", "right"]},
    "shade": {
        "task": "segmentation",
        "classes": ["dark", "light"],
        "input": {"fit": "native", "multiple_px": 8},
        "output": {"activation": "sigmoid"},
    },
    "dropping": {"task": "classification", "classes": ["a", "b", "c"]},
}


def build_net(kind: str, **options: Any) -> nn.Module:
    """One of NETS, its weights the same in every run; a package names it by import path."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = NETS[kind](**options)
        for name, buffer in net.named_buffers():
            if name.endswith("running_var"):
                buffer.fill_(0.25)
    return net.eval()


def view_package(folder: Path, kind: str, *, net: dict[str, Any] | None = None, **spec: Any) -> ModelPackage:
    """A package of one of NETS, with ``spec`` on top of what is plain for it."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(build_net(kind, **(net or {})).state_dict(), folder / "net.pth")
    facts = {
        "name": kind.replace("_", "-"),
        "format": "state_dict",
        "weights": "net.pth",
        "architecture": {"import": "tests.view_nets:build_net", "options": {"kind": kind, **(net or {})}},
        "input": {"fit": "stretch", "size_hw": [16, 16]},
        **PLAIN[kind],
        **spec,
    }
    return load_package(str(write_package(folder, facts)))
