"""Open, close and fill the regions of each class of a mask."""

from __future__ import annotations

import cv2
import numpy as np

from inference_core.errors import ConfigError
from inference_core.postprocess.classes import check_mask, foreground_classes
from inference_core.records import Uint8Array


def open_classes(mask: Uint8Array, *, diameter_px: int, background: int = 0) -> Uint8Array:
    """Remove the parts of each class that a disc does not fit into; they become background.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        diameter_px: of the disc, odd; 1 changes nothing. What lies outside the image does not count.
        background: class id that is not opened.

    Returns:
        (H, W) uint8.

    Raises:
        ConfigError: diameter_px is not odd and positive.
        ShapeError: mask is not (H, W) uint8.
    """
    check_mask(mask)
    kernel = disc(diameter_px)
    opened = mask.copy()
    for class_id in foreground_classes(mask, background=background):
        member = (mask == class_id).view(np.uint8)
        kept = cv2.morphologyEx(member, cv2.MORPH_OPEN, kernel)
        opened[(member != 0) & (kept == 0)] = background
    return opened


def close_classes(mask: Uint8Array, *, diameter_px: int, background: int = 0) -> Uint8Array:
    """Fill the gaps of each class that a disc does not fit into.

    Only background is filled. Where two classes claim a pixel, the lower class id gets it.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        diameter_px: of the disc, odd; 1 changes nothing. What lies outside the image does not count.
        background: class id that is not closed.

    Returns:
        (H, W) uint8.

    Raises:
        ConfigError: diameter_px is not odd and positive.
        ShapeError: mask is not (H, W) uint8.
    """
    check_mask(mask)
    kernel = disc(diameter_px)
    closed = mask.copy()
    for class_id in foreground_classes(mask, background=background):
        member = (mask == class_id).view(np.uint8)
        grown = cv2.morphologyEx(member, cv2.MORPH_CLOSE, kernel)
        closed[(grown != 0) & (closed == background)] = class_id
    return closed


def fill_class_holes(mask: Uint8Array, *, background: int = 0) -> Uint8Array:
    """Fill the background that one class encloses with that class.

    A hole is a region that no path of edge neighbours leads out of. Other classes inside it stay. Where several
    classes enclose a pixel, the lowest class id gets it.

    Args:
        mask: (H, W) uint8 class ids. Not modified.
        background: class id that holes are made of.

    Returns:
        (H, W) uint8.

    Raises:
        ShapeError: mask is not (H, W) uint8.

    Cost: an int32 label map for one class at a time.
    """
    check_mask(mask)
    filled = mask.copy()
    for class_id in foreground_classes(mask, background=background):
        outside = (mask != class_id).view(np.uint8)
        num_labels, labels = cv2.connectedComponents(outside, connectivity=4)
        is_hole = np.ones(num_labels, bool)
        for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            is_hole[edge] = False
        is_hole[0] = False  # the class itself; most masks have no other label left and are done
        if is_hole.any():
            filled[is_hole[labels] & (filled == background)] = class_id
    return filled


def disc(diameter_px: int) -> Uint8Array:
    """A (d, d) uint8 disc: 1 where a pixel's centre is at most d / 2 from the middle. 3 gives a full square.

    Raises:
        ConfigError: the diameter is not odd and positive.
    """
    if diameter_px < 1 or diameter_px % 2 == 0:
        raise ConfigError(f"diameter_px must be odd and at least 1, got {diameter_px}; use {max(1, diameter_px + 1)}")
    steps = np.arange(diameter_px) - diameter_px // 2
    return (4 * (steps[:, None] ** 2 + steps**2) <= diameter_px**2).view(np.uint8)
