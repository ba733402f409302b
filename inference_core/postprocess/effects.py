"""What a step changed of a mask, by class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from inference_core.records import Uint8Array
from inference_core.results import ClassEffect


def class_effects(
    before: Uint8Array, after: Uint8Array, *, num_components: Mapping[int, int], background: int
) -> tuple[ClassEffect, ...]:
    """The changed pixels by class.

    A pixel counts once: for the class that lost it, or, where it was background, for the class that got it.

    Args:
        before: (H, W) uint8 class ids.
        after: the same size.
        num_components: by class id, what the step itself counted.
        background: class id.

    Returns:
        Of the classes that changed, by class id.
    """
    is_changed = before != after
    if not is_changed.any():
        return ()
    lost, got = before[is_changed], after[is_changed]
    counts = np.bincount(np.where(lost == background, got, lost))
    return tuple(
        ClassEffect(class_id=class_id, num_components=num_components.get(class_id, 0), num_pixels=int(counts[class_id]))
        for class_id in np.flatnonzero(counts).tolist()
    )
