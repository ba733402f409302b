"""A torch module whose logits an image chooses by its shade, however odd they are; and packages of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inference_core.models.package import ModelPackage, load_package
from tests.asset_packages import write_package

NAN, INF = float("nan"), float("inf")
ROWS = {
    "plain": (0.5, -1.0, 0.25),
    "equal": (1.0, 1.0, 1.0),
    "huge": (1e30, -1e30, 0.0),
    "largest": (1e38, -1e38, 1e38),
    "tiny": (1e-40, -1e-40, 0.0),
    "nan": (NAN, 0.0, 0.0),
    "inf": (INF, 0.0, 0.0),
    "two inf": (INF, 0.0, INF),
    "minus inf": (-INF, -INF, -INF),
}
"""Logits of three classes, by what is odd about them. The first is what a blank image gets."""
BAD = ("nan", "inf", "two inf", "minus inf")


class OddLogits(nn.Module):
    """Gives the row of logits whose number is the image's shade.

    Args:
        num_classes: how many of each row.
        is_map: whether every pixel gets them.
    """

    rows: Tensor

    def __init__(self, num_classes: int, *, is_map: bool) -> None:
        super().__init__()
        self.register_buffer("rows", torch.tensor([row[:num_classes] for row in ROWS.values()]))
        self._is_map = is_map

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) of one shade each -> (B, K), or (B, K, h, w)."""
        found = self.rows[(images.mean((1, 2, 3)) * 255).round().long()]
        height, width = images.shape[2:]
        return found[:, :, None, None].expand(-1, -1, height, width) if self._is_map else found


def odd_package(folder: Path, *, num_classes: int = 3, **spec: Any) -> ModelPackage:
    """A package of it, with ``spec`` on top of a plain classification."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"num_classes": num_classes, "is_map": spec.get("task") == "segmentation"}
    torch.save(OddLogits(**options).state_dict(), folder / "net.pth")  # type: ignore[arg-type]
    facts = {
        "name": "odd",
        "task": "classification",
        "format": "state_dict",
        "weights": "net.pth",
        "architecture": {"import": "tests.odd_logits:OddLogits", "options": options},
        "classes": ["a", "b", "c"][:num_classes],
        "input": {"fit": "stretch", "size_hw": [8, 8]},
        **spec,
    }
    return load_package(str(write_package(folder, facts)))


def odd_image(name: str) -> NDArray[np.uint8]:
    """(8, 8, 3) the image that gets a row."""
    return np.full((8, 8, 3), list(ROWS).index(name), np.uint8)
