"""Small networks with what exporters meet in real ones: several outputs, branches, loops, chance, fixed sizes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from tests.asset_packages import write_package

SIDE_PX = 32


class Plain(nn.Module):
    """A classifier of three classes with a padding of its own, which exporters fold into the convolution.

    Args:
        width: channels within.
        gain: twice multiplied by and twice divided by: large ones leave the range of fp16.
    """

    def __init__(self, *, width: int = 8, gain: float = 1.0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, stride=2)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, 3)
        self.gain = gain

    def scores(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) -> (B, 3)."""
        features = F.relu(self.norm(self.conv(F.pad(images, (0, 1, 0, 1))))) * self.gain * self.gain
        return self.head(features.mean(dim=(2, 3)) / self.gain / self.gain)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Any:
        """See scores."""
        return self.scores(images)


class Branching(Plain):
    """Turns its scores round for dark batches: what it does depends on the pixels."""

    def forward(self, images: Tensor) -> Tensor:
        scores = self.scores(images)
        if bool(images.mean() > 0.5):
            return scores
        return -scores


class Looping(Plain):
    """Goes through the images one by one, which fixes their number in a graph."""

    def forward(self, images: Tensor) -> Any:
        return torch.cat([self.scores(image[None]) for image in images])


class Drawing(Plain):
    """Adds noise, as dropout does that was left on."""

    def forward(self, images: Tensor) -> Any:
        scores = self.scores(images)
        return scores + torch.rand_like(scores)


class Flattening(nn.Module):
    """Takes one size only."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * SIDE_PX * SIDE_PX, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, SIDE_PX, SIDE_PX) -> (B, 3)."""
        return self.head(images.flatten(1))  # type: ignore[no-any-return]


class Detector(nn.Module):
    """DETR's two outputs for 16 objects: as a tuple, or by name beside what is no tensor."""

    def __init__(self, *, by_name: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, stride=8)
        self.logits = nn.Linear(8, 4)
        self.boxes = nn.Linear(8, 4)
        self.by_name = by_name

    def forward(self, images: Tensor) -> Any:
        """(B, 3, 32, 32) -> (B, 16, 4) logits and (B, 16, 4) boxes."""
        features = self.conv(images).flatten(2).transpose(1, 2)
        logits, boxes = self.logits(features), self.boxes(features).sigmoid()
        return {"pred_boxes": boxes, "logits": logits, "stride": 8} if self.by_name else (logits, boxes)


NETS = {
    "plain": Plain,
    "branching": Branching,
    "looping": Looping,
    "drawing": Drawing,
    "flattening": Flattening,
    "detector": Detector,
}


def build_net(kind: str, **options: Any) -> nn.Module:
    """One of NETS in evaluation mode, its weights the same in every run; a package names it by import path."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return NETS[kind](**options).eval()


def scripted(module: nn.Module) -> torch.jit.ScriptModule:
    """The module's code, compiled, as archives of users hold it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would have everyone export instead
        return torch.jit.script(module)


def net_package(folder: Path, kind: str, *, spec: dict[str, Any] | None = None, **options: Any) -> Path:
    """A state dict of one of NETS; ``spec`` on top of a plain classification."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(build_net(kind, **options).state_dict(), folder / "net.safetensors")
    plain: dict[str, Any] = {
        "name": f"net-{kind}",
        "task": "classification",
        "format": "state_dict",
        "weights": "net.safetensors",
        "architecture": {"import": "tests.exportable_nets:build_net", "options": {"kind": kind, **options}},
        "classes": ["red", "green", "blue"],
        "input": {"fit": "stretch", "size_hw": [SIDE_PX, SIDE_PX]},
    }
    return write_package(folder, {**plain, **(spec or {})})


def detector_package(folder: Path, *, by_name: bool) -> Path:
    """The detector as a package: its outputs in DETR's names, or mapped to them by position."""
    output: dict[str, Any] = {"decoder": {"name": "detr"}, "threshold": 0.3, "nms": {"method": "none"}}
    if not by_name:
        output["names"] = {"logits": "0", "pred_boxes": "1"}
    return net_package(folder, "detector", spec={"task": "detection", "output": output}, by_name=by_name)
