"""The outline of one cell: an ellipse whose radius wobbles with the angle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

HARMONICS = (2, 3, 4, 5)
"""Waves around the outline; 1 would only move the centre."""
MAX_WOBBLE_FRAC = 0.25
"""Largest deviation from the ellipse that all harmonics together may give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A closed curve around a centre, in pixels."""

    centre_yx: tuple[float, float]
    radius_px: float
    """Geometric mean of the half axes."""
    stretch: float
    """Long half axis over radius, at least 1."""
    angle_rad: float
    wobble: tuple[complex, ...]
    """One complex amplitude per harmonic, relative to the radius."""

    @property
    def reach_px(self) -> int:
        """No point of the outline is further from the centre than this."""
        return math.ceil(self.radius_px * self.stretch * (1 + MAX_WOBBLE_FRAC)) + 1


def draw_outline(rng: np.random.Generator, *, centre_yx: tuple[float, float], radius_px: float) -> Outline:
    """Draw a random outline of about ``radius_px``."""
    phases = np.exp(2j * np.pi * rng.random(len(HARMONICS)))
    sizes = rng.random(len(HARMONICS)) * rng.choice([0.03, 0.06, 0.12]) / np.sqrt(np.arange(1, len(HARMONICS) + 1))
    sizes *= min(1.0, MAX_WOBBLE_FRAC / sizes.sum())
    return Outline(
        centre_yx=centre_yx,
        radius_px=radius_px * math.exp(rng.normal(0.0, 0.15)),
        stretch=1.0 + 0.45 * rng.random() ** 2,
        angle_rad=rng.random() * math.pi,
        wobble=tuple(complex(value) for value in sizes * phases),
    )


def measure_depth(outline: Outline, *, window: tuple[slice, slice]) -> FloatArray:
    """How deep each pixel centre of the window lies inside the outline.

    Args:
        outline: the cell.
        window: rows and columns of the image, with explicit starts and stops.

    Returns:
        (h, w) float32, about the distance to the outline in pixels; negative outside.
    """
    y = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] + 0.5 - outline.centre_yx[0]
    x = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] + 0.5 - outline.centre_yx[1]
    cos, sin = math.cos(outline.angle_rad), math.sin(outline.angle_rad)
    along = (x * cos + y * sin) / outline.stretch
    across = (y * cos - x * sin) * outline.stretch
    point = (along + 1j * across).astype(np.complex64)
    distance = np.abs(point)
    direction = point / np.maximum(distance, np.float32(1e-3))
    radius = np.ones_like(distance)
    turned = direction
    for amplitude in outline.wobble:
        turned = turned * direction
        radius += (turned * np.complex64(amplitude)).real
    depth: FloatArray = radius * np.float32(outline.radius_px) - distance
    return depth
