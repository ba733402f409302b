"""Remove connected components that are too small, too large, cut off by the image's edge or not among the largest."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from inference_core.errors import ConfigError
from inference_core.postprocess.classes import Window, check_mask, class_windows
from inference_core.postprocess.regions import Edges, Regions, find_regions
from inference_core.records import Uint8Array
from inference_core.run_length import BoolArray

Rule = Callable[[Regions, Edges], BoolArray]
"""The N components of one class and where the image ends to (N,) bool, true for those that go."""


def remove_components(
    mask: Uint8Array, *, rule: Rule, class_ids: Collection[int] | None = None, background: int = 0
) -> tuple[Uint8Array, dict[int, int]]:
    """Turn components that a rule names into background.

    A component is a set of pixels of one class that touch at an edge or a corner (8-connectivity).

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        rule: says of the components of one class which go.
        class_ids: classes that it holds for; None for all.
        background: class id that is never removed.

    Returns:
        (H, W) uint8, and how many components of each class are gone, of those that lost some.

    Raises:
        ShapeError: mask is not (H, W) uint8.

    Cost: an int32 label map for one class at a time.
    """
    check_mask(mask)
    cleaned, counts = mask.copy(), dict[int, int]()
    for class_id, window, member in class_windows(mask, class_ids=class_ids, background=background):
        regions = find_regions(member, connectivity=8)
        is_removed = rule(regions, image_edges(window, image_hw=mask.shape))
        if is_removed.any():
            cleaned[window][regions.pixels_of(is_removed)] = background
            counts[class_id] = int(is_removed.sum())
    return cleaned, counts


def image_edges(window: Window, *, image_hw: tuple[int, ...]) -> Edges:
    """Where the image ends, seen from a window."""
    (height, width), (rows, columns) = image_hw, window
    return Edges(top=-rows.start, bottom=height - rows.start, left=-columns.start, right=width - columns.start)


def smaller_than(area_px: int) -> Rule:
    """Components of fewer pixels go; with 1 none."""
    check_at_least_one("min_area_px", area_px)
    return lambda regions, _: regions.areas_px < area_px


def larger_than(area_px: int) -> Rule:
    """Components of more pixels go."""
    check_at_least_one("max_area_px", area_px)
    return lambda regions, _: regions.areas_px > area_px


def beyond_largest(count: int) -> Rule:
    """All but the ``count`` largest of a class go; of equally large ones those stay whose first pixel comes first."""
    check_at_least_one("keep_largest", count)

    def rule(regions: Regions, _: Edges) -> BoolArray:
        is_removed = np.ones(len(regions), bool)
        is_removed[np.argsort(-regions.areas_px, kind="stable")[:count]] = False
        return is_removed

    return rule


def at_border(regions: Regions, edges: Edges) -> BoolArray:
    """Components that hold a pixel of the image's first or last row or column go."""
    return regions.touching(edges)


def check_at_least_one(name: str, value: int) -> None:
    """Raise ConfigError for a value below 1."""
    if value < 1:
        raise ConfigError(f"{name} must be at least 1, got {value}; leave the step out to keep everything")
