"""Open and close the regions of each class of a mask."""

from __future__ import annotations

from collections.abc import Collection

import cv2
import numpy as np

from inference_core.errors import ConfigError
from inference_core.postprocess.classes import check_mask, class_windows
from inference_core.records import Uint8Array


def open_classes(
    mask: Uint8Array, *, diameter_px: int, class_ids: Collection[int] | None = None, background: int = 0
) -> Uint8Array:
    """Remove the parts of each class that a disc does not fit into; they become background.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        diameter_px: of the disc, odd; 1 changes nothing. What lies outside the image does not count.
        class_ids: classes that are opened; None for all.
        background: class id that is not opened.

    Returns:
        (H, W) uint8.

    Raises:
        ConfigError: diameter_px is not odd and positive.
        ShapeError: mask is not (H, W) uint8.
    """
    check_mask(mask)
    kernel = disc(diameter_px)
    # A diameter beyond the class, the window's edge is the image's or too far away to matter.
    windows = class_windows(mask, class_ids=class_ids, background=background, margin_px=diameter_px)
    opened = mask.copy()
    for _, window, member in windows:
        kept = cv2.morphologyEx(member, cv2.MORPH_OPEN, kernel)
        opened[window][kept < member] = background
    return opened


def close_classes(
    mask: Uint8Array, *, diameter_px: int, class_ids: Collection[int] | None = None, background: int = 0
) -> Uint8Array:
    """Fill the gaps of each class that a disc does not fit into.

    Only background is filled. Where two classes claim a pixel, the lower class id gets it.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        diameter_px: of the disc, odd; 1 changes nothing. What lies outside the image does not count.
        class_ids: classes that are closed; None for all.
        background: class id that is not closed.

    Returns:
        (H, W) uint8.

    Raises:
        ConfigError: diameter_px is not odd and positive.
        ShapeError: mask is not (H, W) uint8.
    """
    check_mask(mask)
    kernel = disc(diameter_px)
    # As above: what is grown ends after half a diameter, and what is shrunk there looks half a diameter further.
    windows = class_windows(mask, class_ids=class_ids, background=background, margin_px=diameter_px)
    closed = mask.copy()
    for class_id, window, member in windows:
        grown = cv2.morphologyEx(member, cv2.MORPH_CLOSE, kernel)
        view = closed[window]
        view[(grown > member) & (view == background)] = class_id
    return closed


def disc(diameter_px: int) -> Uint8Array:
    """A (d, d) uint8 disc: 1 where a pixel's centre is at most d / 2 from the middle. 3 gives a full square.

    Raises:
        ConfigError: the diameter is not odd and positive.
    """
    if diameter_px < 1 or diameter_px % 2 == 0:
        raise ConfigError(f"diameter_px must be odd and at least 1, got {diameter_px}; use {max(1, diameter_px + 1)}")
    steps = np.arange(diameter_px) - diameter_px // 2
    return (4 * (steps[:, None] ** 2 + steps**2) <= diameter_px**2).view(np.uint8)
