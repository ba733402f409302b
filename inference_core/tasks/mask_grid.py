"""Soft masks on a small grid over a window: a fixed size for any object, which crosses to the CPU cheaply."""

from __future__ import annotations

import math

from array_api_compat import array_namespace, device

from inference_core.engines.protocol import Array
from inference_core.tasks.outputs import sigmoid, to_uint8

MAX_MAP_VALUES = 1 << 24
"""Values of whole maps that are resampled at a time: 64 MiB as float32."""

MAX_LOGIT = 1e4
"""Infinite logits count as this, since no mean can be made of them."""

LOGIT_SOFTNESS = 4.0
"""Logits travel as sigmoids of a fourth of them: the sigmoid itself is 0 or 1 but next to the outline, and tells too
little of where between two cells the outline runs."""


def sample_grid(
    maps: Array, windows_xyxy: Array, *, input_hw: tuple[int, int], mask_px: int, is_logits: bool
) -> tuple[Array, Array]:
    """The means of maps over the cells of grids, each over a window of its own.

    Args:
        maps: (n, h, w) over the whole input, of any resolution: float, or uint8 scores times 255. Not modified.
        windows_xyxy: (n, 4) float32 in pixels of the input.
        input_hw: height and width of the input.
        mask_px: m, cells of a grid along each side.
        is_logits: whether a sigmoid makes scores of the means.

    Returns:
        (n, m, m) uint8, scores times 255; of logits that are softened, see ``grid_level``. And (n,) bool, whether all
        values of a map are numbers.

    Cost: a window's map is read whole; ``MAX_MAP_VALUES`` of them are held as float32 at a time.
    """
    xp = array_namespace(windows_xyxy)
    count, height, width = (int(size) for size in maps.shape)
    rows = cell_weights(windows_xyxy[:, 1::2], side=input_hw[0], num_pixels=height, num_cells=mask_px)  # (n, m, h)
    columns = cell_weights(windows_xyxy[:, 0::2], side=input_hw[1], num_pixels=width, num_cells=mask_px)  # (n, m, w)
    is_bytes = xp.isdtype(maps.dtype, "integral")
    step = max(1, MAX_MAP_VALUES // (height * width))
    parts = [xp.zeros((0, mask_px, mask_px), dtype=xp.float32, device=device(windows_xyxy))]
    for start in range(0, count, step):
        part = slice(start, start + step)
        values = xp.clip(xp.astype(maps[part, ...], xp.float32), -MAX_LOGIT, MAX_LOGIT)
        means = xp.matmul(xp.matmul(rows[part, ...], values), xp.permute_dims(columns[part, ...], (0, 2, 1)))
        parts.append(sigmoid(means / LOGIT_SOFTNESS) if is_logits else means / 255.0 if is_bytes else means)
    scores = xp.concat(parts, axis=0)
    return to_uint8(scores), xp.all(xp.isfinite(scores), axis=(1, 2))


def grid_level(threshold: float, *, is_logits: bool) -> float:
    """The value of a grid, from 0 to 1, that stands for a score of ``threshold``, which lies between them."""
    if not is_logits:
        return threshold
    logit = math.log(threshold / (1 - threshold))
    return 1 / (1 + math.exp(-logit / LOGIT_SOFTNESS))


def cell_weights(ends: Array, *, side: int, num_pixels: int, num_cells: int) -> Array:
    """What each pixel of a line counts in the mean of each cell of a grid over a part of it.

    The line between pixel centres is taken as straight, beyond the outermost as level, and its mean over a cell is
    exact: the weight of a pixel is the integral of a hat around its centre. So cells larger than a pixel average, and
    smaller ones interpolate.

    Args:
        ends: (n, 2) float32, begin and end of the part in pixels of the input.
        side: of the input.
        num_pixels: of the map along this side.
        num_cells: of the grid.

    Returns:
        (n, num_cells, num_pixels) float32; rows sum to 1.
    """
    xp = array_namespace(ends)
    place = device(ends)
    scaled = ends * (num_pixels / side)
    steps = xp.arange(num_cells + 1, dtype=xp.float32, device=place) / num_cells
    edges = scaled[:, :1] + (scaled[:, 1:] - scaled[:, :1]) * steps[None, :]  # (n, num_cells + 1)
    centers = xp.arange(num_pixels, dtype=xp.float32, device=place) + 0.5
    below = hat_integral(edges[:, :, None] - centers[None, None, :])  # (n, num_cells + 1, num_pixels)
    weights = below[:, 1:, :] - below[:, :-1, :]
    total = xp.sum(weights, axis=2, keepdims=True)
    return weights / xp.where(total > 0, total, xp.ones_like(total))


def hat_integral(distance: Array) -> Array:
    """Integral up to ``distance`` of the hat that is 1 at 0 and 0 from -1 and 1 on: from 0 to 1."""
    xp = array_namespace(distance)
    near = xp.clip(distance, -1.0, 1.0)
    return 0.5 + near - 0.5 * near * xp.abs(near)
