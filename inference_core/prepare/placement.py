"""Between the image's pixels and the model's input: points, boxes and maps, both ways along a Placement."""

from __future__ import annotations

from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.records import FloatArray, Placement

MapValue = TypeVar("MapValue", np.uint8, np.float32)


def visible_window(placement: Placement) -> tuple[tuple[int, int], tuple[int, int]]:
    """The part of the scaled image that lies on the canvas: its top left corner and its size, both y first."""
    top, left = (max(0, -offset) for offset in placement.offset_yx)
    height, width = (
        min(scaled - start, canvas - max(0, offset))
        for scaled, start, canvas, offset in zip(
            placement.scaled_hw, (top, left), placement.canvas_hw, placement.offset_yx, strict=True
        )
    )
    return (top, left), (height, width)


def points_to_canvas(points_xy: NDArray[np.floating], placement: Placement) -> FloatArray:
    """Points of the image on the canvas.

    Args:
        points_xy: (N, 2) float, x first, absolute pixels with pixel centres at .5.
        placement: where the image lies.

    Returns:
        (N, 2) float32, not clipped.
    """
    scale_xy, offset_xy = _affine(placement)
    return (_check_last(points_xy, 2, "points_xy") * scale_xy + offset_xy).astype(np.float32)


def points_to_image(points_xy: NDArray[np.floating], placement: Placement, *, tile_index: int = 0) -> FloatArray:
    """Points of a tile in the image.

    Args:
        points_xy: (N, 2) float, x first, in the pixels of the tile.
        placement: where the image lies.
        tile_index: which tile. Tile 0 begins at the canvas' corner, so its pixels are those of the canvas.

    Returns:
        (N, 2) float32, not clipped.
    """
    scale_xy, offset_xy = _affine(placement)
    origin_xy = np.array(placement.tile_origins_yx[tile_index][::-1], np.float64)
    return ((_check_last(points_xy, 2, "points_xy") + origin_xy - offset_xy) / scale_xy).astype(np.float32)


def boxes_to_image(boxes_xyxy: NDArray[np.floating], placement: Placement, *, tile_index: int = 0) -> FloatArray:
    """Boxes of a tile in the image, clipped to it.

    Args:
        boxes_xyxy: (N, 4) float, half-open, in the pixels of the tile.
        placement: where the image lies.
        tile_index: which tile.

    Returns:
        (N, 4) float32 in [0, W] and [0, H]; a box outside the image has no area.
    """
    corners = _check_last(boxes_xyxy, 4, "boxes_xyxy").reshape(-1, 2)
    moved = points_to_image(corners, placement, tile_index=tile_index)
    height, width = placement.image_hw
    return np.clip(moved, 0, np.array([width, height], np.float32)).reshape(-1, 4)


def map_to_image(
    values: NDArray[MapValue],
    placement: Placement,
    *,
    interpolation: Literal["nearest", "bilinear"],
    fill: int = 0,
) -> NDArray[MapValue]:
    """Undo the fit of a map: padding is cut off, the crop is put back, the scale is the image's.

    Args:
        values: (h, w) or (K, h, w), uint8 or float32, on the canvas. Not modified.
        placement: where the image lies.
        interpolation: ``nearest`` for class ids. ``bilinear`` for scores; it averages where both sides shrink.
        fill: value where the model did not see the image because it was cropped.

    Returns:
        (H, W) or (K, H, W), the dtype of ``values``.

    Raises:
        ShapeError: the map is not of the canvas' size.

    Cost: where the image was cropped, one map of the whole scaled image.
    """
    if values.ndim not in (2, 3) or values.shape[-2:] != placement.canvas_hw:
        raise ShapeError(
            f"values must be (h, w) or (K, h, w) with (h, w) = {placement.canvas_hw}, got {list(values.shape)}"
        )
    planes = values.reshape(-1, *placement.canvas_hw)
    image = np.empty((len(planes), *placement.image_hw), values.dtype)
    for target, plane in zip(image, planes, strict=True):
        _write_plane(target, _scaled_plane(plane, placement), interpolation=interpolation)
    _fill_unseen(image, placement, fill=fill)
    return image.reshape(*values.shape[:-2], *placement.image_hw)


def seen_part(placement: Placement) -> tuple[slice, slice]:
    """Rows and columns of the image whose pixel centres lie on the canvas."""
    (top, left), (height, width) = visible_window(placement)
    rows = _seen_range(top, height, scaled=placement.scaled_hw[0], image=placement.image_hw[0])
    columns = _seen_range(left, width, scaled=placement.scaled_hw[1], image=placement.image_hw[1])
    return rows, columns


def _seen_range(start: int, length: int, *, scaled: int, image: int) -> slice:
    # Pixel i has its centre at (i + .5) * scaled / image; ceil(a / b - .5) in integers is -((b - 2 a) // (2 b)).
    first, last = (-((scaled - 2 * edge * image) // (2 * scaled)) for edge in (start, start + length))
    return slice(max(0, first), min(image, last))


def _scaled_plane(plane: NDArray[MapValue], placement: Placement) -> NDArray[MapValue]:
    """The canvas as a map of the whole scaled image: without padding, with what was cropped."""
    (above, before), (height, width) = visible_window(placement)
    top, left = (max(0, offset) for offset in placement.offset_yx)
    window = plane[top : top + height, left : left + width]
    below, after = placement.scaled_hw[0] - above - height, placement.scaled_hw[1] - before - width
    if not (above or below or before or after):
        return window
    # The cropped part takes the edge's values so that the seen part does not fade towards it.
    return np.asarray(cv2.copyMakeBorder(window, above, below, before, after, cv2.BORDER_REPLICATE), plane.dtype)


def _write_plane(
    target: NDArray[MapValue], plane: NDArray[MapValue], *, interpolation: Literal["nearest", "bilinear"]
) -> None:
    if plane.shape == target.shape:
        target[:] = plane
        return
    height, width = target.shape
    is_shrinking = height <= plane.shape[0] and width <= plane.shape[1]
    smooth = cv2.INTER_AREA if is_shrinking else cv2.INTER_LINEAR
    flag = cv2.INTER_NEAREST_EXACT if interpolation == "nearest" else smooth
    cv2.resize(plane, (width, height), dst=target, interpolation=flag)


def _fill_unseen(image: NDArray[MapValue], placement: Placement, *, fill: int) -> None:
    rows, columns = seen_part(placement)
    image[:, : rows.start] = fill
    image[:, rows.stop :] = fill
    image[:, :, : columns.start] = fill
    image[:, :, columns.stop :] = fill


def _affine(placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and offset from image to canvas, x first."""
    image_xy, scaled_xy, offset_xy = (
        np.array(pair[::-1], np.float64) for pair in (placement.image_hw, placement.scaled_hw, placement.offset_yx)
    )
    return scaled_xy / image_xy, offset_xy


def _check_last(values: NDArray[np.floating], size: int, name: str) -> NDArray[np.float64]:
    if values.ndim != 2 or values.shape[1] != size:
        raise ShapeError(f"{name} must be (N, {size}), got {list(values.shape)}")
    return values.astype(np.float64)
