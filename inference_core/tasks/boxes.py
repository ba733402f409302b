"""Boxes as arrays of any library: corners from centres, areas, overlaps."""

from __future__ import annotations

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array


def corners_of_centers(boxes_cxcywh: Array) -> Array:
    """(..., 4) boxes of centre x, centre y, width, height as x_min, y_min, x_max, y_max."""
    xp = array_namespace(boxes_cxcywh)
    centers, halves = boxes_cxcywh[..., :2], boxes_cxcywh[..., 2:] * 0.5
    return xp.concat([centers - halves, centers + halves], axis=-1)


def scale_boxes(boxes_xyxy: Array, *, input_hw: tuple[int, int]) -> Array:
    """(..., 4) boxes in shares of the input as boxes in its pixels."""
    xp = array_namespace(boxes_xyxy)
    height, width = input_hw
    return xp.stack([boxes_xyxy[..., axis] * (width, height)[axis % 2] for axis in range(4)], axis=-1)


def areas(boxes_xyxy: Array) -> Array:
    """(...) areas of (..., 4) boxes; 0 where a corner is on the wrong side."""
    xp = array_namespace(boxes_xyxy)
    sides = xp.clip(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0.0, None)
    return sides[..., 0] * sides[..., 1]


def pairwise_iou(a_xyxy: Array, b_xyxy: Array) -> Array:
    """Intersection over union of each box of ``a`` with each of ``b``.

    Args:
        a_xyxy: (..., N, 4) float32.
        b_xyxy: (..., M, 4) float32.

    Returns:
        (..., N, M) float32 in [0, 1]; 0 where both boxes are empty.
    """
    xp = array_namespace(a_xyxy, b_xyxy)
    a, b = a_xyxy[..., :, None, :], b_xyxy[..., None, :, :]
    # One axis after the other: arrays of (..., N, M) are read faster than those of (..., N, M, 2).
    width, height = (
        xp.clip(xp.minimum(a[..., k + 2], b[..., k + 2]) - xp.maximum(a[..., k], b[..., k]), 0.0, None) for k in (0, 1)
    )
    overlap = width * height  # (..., N, M)
    union = areas(a_xyxy)[..., :, None] + areas(b_xyxy)[..., None, :] - overlap
    return overlap / xp.where(union > 0, union, xp.ones_like(union))
