"""What lies on the slide before any microscope looks at it: cells, their truth, and debris."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cellgen.outline import FloatArray, Outline, draw_outline, measure_depth

MAX_CELLS = 70
EMPTY_FRAC = 0.03
"""Share of slides without any cell."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Maps of one slide, each (H, W); float32 ones are about 0 to 1 and may exceed it where cells overlap."""

    truth: NDArray[np.bool_]
    """Whether a cell covers the pixel centre."""
    body: FloatArray
    """Thickness of the cells: a dome, flat on top."""
    rim: FloatArray
    """Membranes: a thin band inside each outline."""
    nucleus: FloatArray
    grain: FloatArray
    """Texture around 0 that covers the whole slide."""
    debris: FloatArray
    """Specks, fibres and rings that are no cells."""
    num_cells: int


def draw_scene(rng: np.random.Generator, *, image_hw: tuple[int, int]) -> Scene:
    """Draw the cells and the debris of one slide."""
    sharp, soft = np.zeros((2, 3, *image_hw), np.float32)
    truth = np.zeros(image_hw, np.bool_)
    outlines = place_cells(rng, image_hw=image_hw)
    blurred_frac = rng.choice([0.0, 0.15, 0.4])
    for outline in outlines:
        stamp_cell(rng, outline, maps=soft if rng.random() < blurred_frac else sharp, truth=truth)
    sigma_px = rng.uniform(1.2, 2.6)
    body, rim, nucleus = (
        a + cv2.GaussianBlur(b, (0, 0), sigma_px) if blurred_frac else a for a, b in zip(sharp, soft, strict=True)
    )
    return Scene(
        truth=truth,
        body=body,
        rim=rim,
        nucleus=nucleus,
        grain=draw_grain(rng, image_hw=image_hw, grain_px=rng.uniform(2.0, 5.0)),
        debris=draw_debris(rng, image_hw=image_hw),
        num_cells=len(outlines),
    )


def place_cells(rng: np.random.Generator, *, image_hw: tuple[int, int]) -> list[Outline]:
    """Scatter outlines of similar size; most keep apart, some overlap, some are cut by the border."""
    if rng.random() < EMPTY_FRAC:
        return []
    height, width = image_hw
    radius_px = rng.uniform(9.0, 22.0)
    cover_frac = rng.uniform(0.04, 0.4)
    wanted = int(np.clip(cover_frac * height * width / (np.pi * radius_px**2), 1, MAX_CELLS))
    overlap_frac = rng.choice([0.0, 0.1, 0.3])
    centres = np.empty((0, 2))
    for _ in range(wanted):
        centre = rng.random(2) * (height, width)
        gaps = np.hypot(*(centres - centre).T)
        if gaps.size == 0 or gaps.min() > 2.3 * radius_px or rng.random() < overlap_frac:
            centres = np.vstack([centres, centre])
    return [draw_outline(rng, centre_yx=(float(y), float(x)), radius_px=radius_px) for y, x in centres]


def stamp_cell(rng: np.random.Generator, outline: Outline, *, maps: FloatArray, truth: NDArray[np.bool_]) -> None:
    """Add one cell to ``maps`` (3, H, W: body, rim, nucleus) and to ``truth``, both changed in place."""
    window = clip_window(outline, image_hw=truth.shape)
    depth = measure_depth(outline, window=window)
    inside = np.clip(depth + np.float32(0.5), 0, 1)
    dome = np.sqrt(np.clip(depth / np.float32(outline.radius_px * 0.7), 0, 1))
    strength = np.float32(rng.uniform(0.6, 1.0))
    maps[0][window] += strength * inside * (np.float32(0.45) + np.float32(0.55) * dome)
    maps[1][window] += strength * np.exp(-np.square((depth - np.float32(1.5)) / np.float32(1.3)))
    shift_y, shift_x = rng.normal(0, 0.12, 2) * outline.radius_px
    core = Outline(
        centre_yx=(outline.centre_yx[0] + float(shift_y), outline.centre_yx[1] + float(shift_x)),
        radius_px=outline.radius_px * rng.uniform(0.32, 0.5),
        stretch=1.1,
        angle_rad=outline.angle_rad,
        wobble=(),
    )
    maps[2][window] += strength * inside * np.clip(measure_depth(core, window=window) * np.float32(0.5) + 0.5, 0, 1)
    truth[window] |= depth > 0


def clip_window(outline: Outline, *, image_hw: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns that the outline can touch, inside the image."""
    rows, columns = (
        slice(max(0, int(centre) - outline.reach_px), max(0, min(size, int(centre) + outline.reach_px + 1)))
        for centre, size in zip(outline.centre_yx, image_hw, strict=True)
    )
    return rows, columns


def draw_grain(rng: np.random.Generator, *, image_hw: tuple[int, int], grain_px: float) -> FloatArray:
    """Smooth noise with blobs of about ``grain_px``, standard deviation about 1."""
    coarse_hw = [max(2, int(size / grain_px)) for size in image_hw]
    coarse = rng.standard_normal(coarse_hw, dtype=np.float32)
    return cv2.resize(coarse, image_hw[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)


def draw_debris(rng: np.random.Generator, *, image_hw: tuple[int, int]) -> FloatArray:
    """Specks, curved fibres and thin rings: things that a model has to ignore."""
    height, width = image_hw
    debris = np.zeros(image_hw, np.float32)
    for _ in range(rng.poisson(height * width / 12_000)):
        centre = (int(rng.random() * width), int(rng.random() * height))
        cv2.circle(debris, centre, int(rng.integers(1, 4)), rng.uniform(0.4, 1.0), -1, cv2.LINE_AA)
    for _ in range(rng.poisson(0.7)):
        cv2.polylines(debris, [draw_fibre(rng, image_hw=image_hw)], False, rng.uniform(0.3, 0.8), 1, cv2.LINE_AA)
    for _ in range(rng.poisson(0.5)):
        centre = (int(rng.random() * width), int(rng.random() * height))
        cv2.circle(debris, centre, int(rng.integers(8, 30)), rng.uniform(0.3, 0.7), 1, cv2.LINE_AA)
    return cv2.GaussianBlur(debris, (0, 0), 0.8).astype(np.float32, copy=False)


def draw_fibre(rng: np.random.Generator, *, image_hw: tuple[int, int]) -> NDArray[np.int32]:
    """Points (24, 2) int32, x first, of a fibre that bends slowly."""
    turns = np.cumsum(rng.normal(0, 0.15, 24)) + rng.random() * 2 * np.pi
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(3, 8)
    start = rng.random(2) * image_hw[::-1]
    return (start + np.cumsum(steps, axis=0)).astype(np.int32)
