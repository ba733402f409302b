"""One mapping for each image, as torchvision's detectors return them, as arrays of a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def is_object_list(raw: Any) -> bool:
    """Whether a forward returned a list with one mapping for each image."""
    return isinstance(raw, Sequence) and len(raw) > 0 and all(isinstance(entry, Mapping) for entry in raw)


def stack_objects(images: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Boxes, labels and scores of a batch, filled up with zeros to the most objects in an image.

    Args:
        images: for each image tensors by name, the first axis of which is its objects. Those with more than two axes,
            masks and key points, are left out: filled up, they would not fit any memory.

    Returns:
        (B, N, ...) by name; what was filled up has score and label 0.
    """
    names = [name for name, value in images[0].items() if isinstance(value, Tensor) and 1 <= value.ndim <= 2]
    most = max((len(image[name]) for image in images for name in names), default=0)
    return {name: torch.stack([fill_up(image[name], most) for image in images]) for name in names}


def fill_up(values: Tensor, count: int) -> Tensor:
    """(N, ...) values with zeros behind them, (count, ...)."""
    missing = values.new_zeros((count - len(values), *values.shape[1:]))
    return torch.cat([values, missing])
