"""Models and filters that bring their process down when they see one colour, and packages of them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from inference_core.records import Uint8Array
from tests.asset_packages import write_package
from tests.tiny_models import CLASSES

POISON_RGB = (255, 0, 255)
"""An image of this colour alone is deadly."""


def strike(how: str) -> None:
    """Bring this process down, or never return."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "abort":
        os.abort()
    elif how == "exit":
        sys.exit(0)
    elif how == "memory":
        taken = []
        while True:
            taken.append(np.ones(8 << 20, np.uint8))
    elif how == "sleep":
        time.sleep(3600)


class Deadly(nn.Module):
    """Which colour an image has most of, unless one of a batch is poison.

    Args:
        how: what it does then.
        dies_of_pairs: whether poison alone is harmless, and two of them in a batch are not.
    """

    def __init__(self, how: str = "kill", dies_of_pairs: bool = False) -> None:
        super().__init__()
        self.how = how
        self.least = 2 if dies_of_pairs else 1
        self.matrix = nn.Parameter(torch.eye(3) * 4.0)

    def forward(self, batch: Tensor) -> Tensor:
        colour = torch.tensor(POISON_RGB, dtype=batch.dtype)[:, None, None] / 255
        if int(((batch - colour).abs() < 1e-3).flatten(1).all(dim=1).sum()) >= self.least:
            strike(self.how)
        means: Tensor = batch.mean(dim=(2, 3)) @ self.matrix
        return means


def strike_poison(pixels: Uint8Array, *, how: str) -> Uint8Array:
    """A filter: native code of a decoder that fails, as far as anybody else can tell."""
    if (pixels == np.array(POISON_RGB, np.uint8)).all():
        strike(how)
    return pixels


def deadly_package(folder: Path, *, how: str, stage: str = "infer", dies_of_pairs: bool = False) -> Path:
    """A package whose model, or whose filter, ends the process on poison.

    Args:
        folder: where it goes.
        how: kill, abort, exit, memory, sleep or none.
        stage: prepare or infer.
        dies_of_pairs: as for Deadly.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(Deadly().state_dict(), folder / "deadly.pth")
    options = {"how": how if stage == "infer" else "none", "dies_of_pairs": dies_of_pairs}
    filters = [{"import": "tests.killers:strike_poison", "options": {"how": how}}] if stage == "prepare" else []
    return write_package(
        folder,
        {
            "name": "deadly",
            "task": "classification",
            "format": "state_dict",
            "architecture": {"import": "tests.killers:Deadly", "options": options},
            "weights": "deadly.pth",
            "classes": CLASSES,
            "input": {"fit": "stretch", "size_hw": [16, 16], "filters": filters},
            "output": {"top_k": 2},
        },
    )
