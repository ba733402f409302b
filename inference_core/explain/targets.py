"""The numbers that are explained: one for each tile that has a part in the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference_core.engines.protocol import Array

Value = Callable[[Mapping[str, Array]], Array]
"""Reads (B,) numbers from a model's outputs to a batch."""


Box = tuple[float, float, float, float]
"""x0, y0, x1 and y1 in an image's pixels."""


class Target(Protocol):
    """What is explained of one tile, read from the outputs of a batch of its variants.

    The outputs are NumPy arrays or torch tensors; what is read of the latter can be differentiated.
    """

    def evidence(self, outputs: Mapping[str, Array]) -> Array:
        """(B,) for gradients: before the activation, whose slopes say nothing where it is full."""

    def support(self, outputs: Mapping[str, Array]) -> Array:
        """(B,) for occlusion: what falls as the answer is less believed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aim:
    """What is explained of one image."""

    class_id: int
    label: str
    score: float
    """As the answer tells it."""
    box_xyxy: Box | None = None
    """With detection."""
    targets: Mapping[int, Target] = field(default_factory=dict)
    """By the number of the tile; the others have no part in it."""


def as_numpy(array: Array) -> NDArray[Any]:
    """An array of any device, without its gradient."""
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()
