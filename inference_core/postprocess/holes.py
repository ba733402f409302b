"""Fill the background that a class encloses."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from inference_core.errors import ConfigError
from inference_core.postprocess.classes import check_mask, class_windows
from inference_core.postprocess.regions import Edges, find_regions
from inference_core.records import Uint8Array


def fill_class_holes(
    mask: Uint8Array,
    *,
    max_hole_px: int | None = None,
    class_ids: Collection[int] | None = None,
    background: int = 0,
) -> tuple[Uint8Array, dict[int, int]]:
    """Fill the background that one class encloses with that class.

    A hole is a region that no path of edge neighbours leads out of (4-connectivity, the counterpart of components that
    hang together at corners). Other classes inside it stay, and count in its area. Where several classes enclose a
    pixel, the lowest class id gets it.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        max_hole_px: larger holes stay; None fills all.
        class_ids: classes whose holes are filled; None for all.
        background: class id that holes are made of.

    Returns:
        (H, W) uint8, and how many holes of each class were filled, of those that had some.

    Raises:
        ConfigError: max_hole_px is under 1.
        ShapeError: mask is not (H, W) uint8.

    Cost: an int32 label map for one class at a time.
    """
    check_mask(mask)
    if max_hole_px is not None and max_hole_px < 1:
        raise ConfigError(f"fill_holes must be at least 1, got {max_hole_px}; leave the step out to fill nothing")
    filled, counts = mask.copy(), dict[int, int]()
    for class_id, window, member in class_windows(mask, class_ids=class_ids, background=background):
        # What reaches the edge of the class's own window reaches the image's.
        regions = find_regions(1 - member, connectivity=4)
        height, width = member.shape
        is_hole = ~regions.touching(Edges(top=0, bottom=height, left=0, right=width))
        if max_hole_px is not None:
            is_hole &= regions.areas_px <= max_hole_px
        if is_hole.any():
            view = filled[window]
            is_gained = regions.pixels_of(is_hole) & (view == background)
            view[is_gained] = class_id
            num_filled = len(np.unique(regions.numbers[regions.labels[is_gained]]))
            counts |= {class_id: num_filled} if num_filled else {}
    return filled, counts
