"""Torch modules that fail on purpose, and packages of them: what a device and a model do to a job."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from tests.asset_packages import write_package
from tests.tiny_models import CLASSES

POISON_RGB = (255, 0, 255)
"""An image of this colour alone is refused."""
HEAVY_RGB = (0, 255, 255)
"""An image of this colour alone never fits the device."""


class Fragile(nn.Module):
    """Which colour an image has most of, unless something is wrong.

    Args:
        max_images: more do not fit the device.
        scale: of the logits; large ones overflow in half precision.
    """

    def __init__(self, max_images: int = 1_000_000, scale: float = 4.0) -> None:
        super().__init__()
        self.max_images = max_images
        self.matrix = nn.Parameter(torch.eye(3) * scale)

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > self.max_images or self.has_solid(batch, HEAVY_RGB):
            raise RuntimeError(f"CUDA out of memory. Tried to allocate {len(batch)} GiB.")
        if self.has_solid(batch, POISON_RGB):
            raise ValueError("this image is poison")
        means: Tensor = batch.mean(dim=(2, 3)) @ self.matrix
        return means

    @staticmethod
    def has_solid(batch: Tensor, rgb: tuple[int, int, int]) -> bool:
        """Whether an image is of one colour."""
        colour = torch.tensor(rgb, dtype=batch.dtype, device=batch.device)[:, None, None] / 255
        return bool(((batch - colour).abs() < 1e-3).flatten(1).all(dim=1).any())


def fragile_package(folder: Path, *, max_images: int = 1_000_000, scale: float = 4.0) -> Path:
    """A package of Fragile, which workers import by its path."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(Fragile(scale=scale).state_dict(), folder / "fragile.pth")
    return write_package(
        folder,
        {
            "name": "fragile",
            "task": "classification",
            "format": "state_dict",
            "architecture": {"import": "tests.failing_modules:Fragile", "options": {"max_images": max_images}},
            "weights": "fragile.pth",
            "classes": CLASSES,
            "input": {"fit": "stretch", "size_hw": [16, 16]},
            "output": {"top_k": 2},
        },
    )
