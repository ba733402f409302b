"""Choose colours that stay apart for every kind of colour vision: what wrote the table of ``palette``.

Greedy: the next colour is the one of a grid whose smallest distance to all before it, as each kind of colour vision
sees them, is largest.

Source: Machado, Oliveira & Fernandes, A Physiologically-based Model for Simulation of Color Vision Deficiency, IEEE
TVCG 15(6), 2009 (severity 1.0, on linear RGB). Distances in CIELAB (CIE 15:2004) under D65.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""What each kind of colour vision makes of linear red, green and blue."""
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.95047, 1.0, 1.08883])
GRID_STEP = 15
LIGHTNESS = (28.0, 93.0)
"""Of what may be chosen: neither next to black nor next to white."""


def choose_colors(first: Sequence[tuple[int, int, int]], *, count: int) -> list[tuple[int, int, int]]:
    """``first`` and as many more as make ``count``.

    Cost: 5,832 candidates against each colour, about 0.1 s for 256.
    """
    levels = np.arange(0, 256, GRID_STEP)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)  # (N, 3)
    lightness = lab_of(grid, vision="normal")[:, 0]
    grid = grid[(lightness >= LIGHTNESS[0]) & (lightness <= LIGHTNESS[1])]
    seen = [lab_of(grid, vision=vision) for vision in VISION]
    nearest = np.full(len(grid), np.inf)
    chosen = list(first)
    for color in (*first, (255, 255, 255)):
        nearest = np.minimum(nearest, distance_to(color, seen))
    while len(chosen) < count:
        red, green, blue = grid[int(np.argmax(nearest.round(6)))].tolist()  # rounded: equal on every machine
        chosen.append((red, green, blue))
        nearest = np.minimum(nearest, distance_to(chosen[-1], seen))
    return chosen


def distance_to(color: tuple[int, int, int], seen: Sequence[Reals]) -> Reals:
    """(N,) smallest distance of each candidate to a colour over all kinds of vision."""
    parts = [
        np.linalg.norm(labs - lab_of(np.array([color]), vision=vision), axis=1)
        for vision, labs in zip(VISION, seen, strict=True)
    ]
    nearest: Reals = np.minimum.reduce(parts)
    return nearest


def lab_of(colors: NDArray[np.generic], *, vision: str) -> Reals:
    """(N, 3) CIELAB of (N, 3) sRGB values from 0 to 255, as a kind of vision sees them."""
    srgb = colors.astype(np.float64) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ VISION[vision].T, 0, 1) @ TO_XYZ.T / WHITE
    cube = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lightness = 116 * cube[:, 1] - 16
    return np.stack([lightness, 500 * (cube[:, 0] - cube[:, 1]), 200 * (cube[:, 1] - cube[:, 2])], axis=1)
