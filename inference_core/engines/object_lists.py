"""One mapping for each image, as torchvision's detectors return them, as arrays of a whole batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

MASKS = "masks"
"""What such mappings call masks."""


def find_objects(raw: Any) -> Sequence[Mapping[str, Tensor]] | None:
    """The list with one mapping for each image that a forward returned, None where it returned something else.

    A scripted detector of torchvision returns a pair of its losses, which are empty, and the list.
    """
    if isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[0], Mapping) and not raw[0]:
        raw = raw[1]
    is_list = isinstance(raw, Sequence) and len(raw) > 0 and all(isinstance(entry, Mapping) for entry in raw)
    return raw if is_list else None


def stack_objects(images: Sequence[Mapping[str, Tensor]], *, keeps_masks: bool = True) -> dict[str, Tensor]:
    """Boxes, labels and scores of a batch, and its masks if asked, filled up with zeros to the most objects.

    Args:
        images: for each image tensors by name, the first axis of which is its objects. Those with more than two axes,
            such as key points, are left out, but for masks.
        keeps_masks: whether ``masks`` (N, 1, H, W) are wanted.

    Returns:
        (B, N, ...) by name; what was filled up has score and label 0. Masks are uint8, scores times 255.

    Cost: the masks take a quarter of what the model gave, as often as the fullest image is fuller than the others.
    """
    first = {name: value for name, value in images[0].items() if isinstance(value, Tensor)}
    names = [name for name, value in first.items() if 1 <= value.ndim <= 2]
    most = max((len(image[name]) for image in images for name in names), default=0)
    stacked = {name: torch.stack([fill_up(image[name], most) for image in images]) for name in names}
    if keeps_masks and MASKS in first and first[MASKS].ndim == 4:
        stacked[MASKS] = stack_masks([image[MASKS] for image in images], most)
    return stacked


def stack_masks(masks: Sequence[Tensor], count: int) -> Tensor:
    """(B, count, 1, H, W) uint8 of (N, 1, H, W) scores for each image; one image's are rounded at a time."""
    stacked = masks[0].new_zeros((len(masks), count, *masks[0].shape[1:]), dtype=torch.uint8)
    for target, values in zip(stacked, masks, strict=True):
        target[: len(values)] = values.mul(255).round_().clamp_(0, 255)
    return stacked


def fill_up(values: Tensor, count: int) -> Tensor:
    """(N, ...) values with zeros behind them, (count, ...)."""
    missing = values.new_zeros((count - len(values), *values.shape[1:]))
    return torch.cat([values, missing])
