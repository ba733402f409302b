"""Views of a batch on the device, and the way back: exact but for scales, which are resampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.segmentation import upsample
from inference_core.view_spec import View

HW = tuple[int, int]


def view_hw(view: View, tile_hw: HW, *, multiple_px: int) -> HW:
    """Height and width of a view of a tile.

    Args:
        view: of the tile.
        tile_hw: of the tile itself.
        multiple_px: what the sides of a scaled view must be a multiple of; the nearest one is taken, at least one.
    """
    height, width = turned_hw(view, tile_hw)
    if view.scale == 1:
        return height, width
    return nearest_multiple(height * view.scale, multiple_px), nearest_multiple(width * view.scale, multiple_px)


def turned_hw(view: View, tile_hw: HW) -> HW:
    """Height and width after the turn, before the scale."""
    return (tile_hw[1], tile_hw[0]) if view.swaps_sides else tile_hw


def nearest_multiple(size: float, multiple_px: int) -> int:
    """The multiple that is nearest to a size, at least one of it."""
    return max(1, round(size / multiple_px)) * multiple_px


def apply_view(view: View, pixels: Array, *, multiple_px: int) -> Array:
    """A batch in a view.

    Args:
        view: what to do.
        pixels: (B, h, w, C) uint8, NumPy or torch. Not modified.
        multiple_px: see ``view_hw``.

    Returns:
        (B, h', w', C) uint8 of the same library on the same device; the argument itself for the identity.
    """
    height, width = (int(side) for side in pixels.shape[1:3])
    turned = turn(pixels, view, axes=(1, 2))
    if view.scale == 1:
        return turned
    return resample(turned, size_hw=view_hw(view, (height, width), multiple_px=multiple_px))


def turn(array: Array, view: View, *, axes: tuple[int, int]) -> Array:
    """The mirror and the turn of a view, on the axes that are height and width."""
    xp = array_namespace(array)
    if view.is_mirrored:
        array = xp.flip(array, axis=axes[1])
    return rotate(array, view.quarter_turns, axes=axes)


def turn_back(array: Array, view: View, *, axes: tuple[int, int]) -> Array:
    """What undoes ``turn``."""
    xp = array_namespace(array)
    array = rotate(array, -view.quarter_turns % 4, axes=axes)
    return xp.flip(array, axis=axes[1]) if view.is_mirrored else array


def rotate(array: Array, quarter_turns: int, *, axes: tuple[int, int]) -> Array:
    """Quarter turns counter-clockwise, as ``numpy.rot90`` makes them."""
    xp = array_namespace(array)
    if quarter_turns == 2:
        return xp.flip(array, axis=axes)
    if quarter_turns == 0:
        return array
    order = list(range(array.ndim))
    order[axes[0]], order[axes[1]] = axes[1], axes[0]
    if quarter_turns == 1:
        return xp.permute_dims(xp.flip(array, axis=axes[1]), tuple(order))
    return xp.flip(xp.permute_dims(array, tuple(order)), axis=axes[1])


def resample(pixels: Array, *, size_hw: HW) -> Array:
    """(B, h, w, C) uint8 at another size: bilinear with antialiasing, computed in float32 and rounded once."""
    import torch
    from torch.nn.functional import interpolate

    tensor = (
        pixels if isinstance(pixels, torch.Tensor) else torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
    )
    planes = tensor.permute(0, 3, 1, 2).float()
    scaled = interpolate(planes, size=size_hw, mode="bilinear", align_corners=False, antialias=True)
    result = scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return result if isinstance(pixels, torch.Tensor) else result.numpy()


def planes_back(view: View, planes: Array, *, tile_hw: HW) -> Array:
    """Planes of a view over the tile itself.

    Args:
        view: that the planes were made of.
        planes: (B, K, h', w') at any size that stands for the whole view.
        tile_hw: of the tile.

    Returns:
        (B, K, h, w); the values themselves, but where sizes differ: then bilinear.
    """
    size_hw = turned_hw(view, tile_hw)
    if tuple(planes.shape[2:]) != size_hw:
        planes = upsample(planes, size_hw=size_hw)
    return turn_back(planes, view, axes=(2, 3))


def boxes_back(view: View, boxes_xyxy: Array, *, tile_hw: HW, multiple_px: int) -> Array:
    """Boxes of a view in pixels of the tile itself.

    Args:
        view: that the boxes were found in.
        boxes_xyxy: (..., 4) in pixels of the view.
        tile_hw: of the tile.
        multiple_px: see ``view_hw``.

    Returns:
        (..., 4), corners in order again.
    """
    xp = array_namespace(boxes_xyxy)
    turned, seen = turned_hw(view, tile_hw), view_hw(view, tile_hw, multiple_px=multiple_px)
    x_min, y_min, x_max, y_max = (
        boxes_xyxy[..., index] * (turned[1 - index % 2] / seen[1 - index % 2]) for index in range(4)
    )
    height, width = turned
    for _ in range(view.quarter_turns):  # clockwise by one, in a frame of height and width
        x_min, y_min, x_max, y_max = height - y_max, x_min, height - y_min, x_max
        height, width = width, height
    if view.is_mirrored:
        x_min, x_max = width - x_max, width - x_min
    return xp.stack([x_min, y_min, x_max, y_max], axis=-1)


def candidates_back(view: View, found: Candidates, *, tile_hw: HW, multiple_px: int) -> Candidates:
    """Boxes of a view in pixels of the tile itself, their masks with them.

    Args:
        view: that they were found in.
        found: ``masks`` (B, N, m, m) among what is carried lie over ``mask_windows`` (B, N, 4), in pixels of the view.
        tile_hw: of the tile.
        multiple_px: see ``view_hw``.

    Returns:
        The same boxes; a grid's cells are exchanged, no value changes.
    """
    carried = dict(found.carried)
    if "masks" in carried:
        windows = carried["mask_windows"]
        carried["mask_windows"] = boxes_back(view, windows, tile_hw=tile_hw, multiple_px=multiple_px)
        carried["masks"] = turn_back(carried["masks"], view, axes=(2, 3))
    boxes = boxes_back(view, found.boxes_xyxy, tile_hw=tile_hw, multiple_px=multiple_px)
    return replace(found, boxes_xyxy=boxes, carried=carried)
