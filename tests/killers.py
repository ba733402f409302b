"""Models that bring their process down when they see one colour, and packages of them or of such filters."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from tests.asset_packages import write_package
from tests.strikes import POISON_RGB, strike
from tests.tiny_models import CLASSES


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
    filters = [{"import": "tests.strikes:strike_poison", "options": {"how": how}}] if stage == "prepare" else []
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
