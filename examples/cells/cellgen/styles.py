"""How four kinds of microscope show a scene. Each style gives light in 0 to 1 before illumination and noise."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from cellgen.outline import FloatArray
from cellgen.scene import Scene

Style = Callable[[np.random.Generator, Scene], FloatArray]

TINTS = ((0.15, 1.0, 0.25), (1.0, 0.2, 0.75), (0.15, 0.85, 1.0), (1.0, 0.6, 0.1), (1.0, 1.0, 1.0))
"""Red, green and blue of fluorescence false colours."""
NUCLEUS_TINT = (0.25, 0.35, 1.0)
STAINS = (
    ((0.12, 0.55, 0.28), (0.75, 0.85, 0.3)),
    ((0.25, 0.45, 0.15), (0.85, 0.7, 0.25)),
    ((0.1, 0.3, 0.5), (0.45, 0.75, 0.8)),
)
"""Optical densities (red, green, blue) of cytoplasm and nucleus: eosin with haematoxylin, Giemsa, brown."""


def show_fluorescence(rng: np.random.Generator, scene: Scene) -> FloatArray:
    """Bright cells on a dark, hazy ground, in one false colour with tinted nuclei."""
    glow = scene.body * (1 + 0.22 * scene.grain) * rng.uniform(0.35, 0.6)
    glow += scene.rim * rng.uniform(0.0, 0.25)
    glow += 0.25 * cv2.blur(scene.body, (41, 41)) * rng.random()
    glow += scene.debris * rng.uniform(0.1, 0.5) + rng.uniform(0.02, 0.1)
    nucleus = scene.nucleus * rng.uniform(0.1, 0.45)
    tint = np.array(TINTS[rng.integers(len(TINTS))], np.float32)
    light: FloatArray = glow[..., None] * tint + nucleus[..., None] * np.array(NUCLEUS_TINT, np.float32)
    return light


def show_phase_contrast(rng: np.random.Generator, scene: Scene) -> FloatArray:
    """Dark cells with bright halos on grey."""
    halo = cv2.GaussianBlur(scene.body, (0, 0), rng.uniform(3, 5)) - scene.body
    gray = rng.uniform(0.42, 0.58) + 0.015 * scene.grain
    gray += np.maximum(halo, 0) * rng.uniform(0.35, 0.7)
    gray -= scene.body * rng.uniform(0.14, 0.26) * (1 + 0.3 * scene.grain)
    gray += scene.rim * rng.uniform(-0.12, 0.06) - scene.nucleus * rng.uniform(0.0, 0.15)
    gray -= scene.debris * rng.uniform(0.1, 0.3)
    return spread_to_rgb(gray)


def show_brightfield(rng: np.random.Generator, scene: Scene) -> FloatArray:
    """Stained cells that absorb light from a bright lamp (Beer and Lambert)."""
    cytoplasm, nucleus = (np.array(density, np.float32) for density in STAINS[rng.integers(len(STAINS))])
    stained = scene.body * (1 + 0.25 * scene.grain) * rng.uniform(0.55, 1.0) + 0.2 * scene.rim
    cores = scene.nucleus * (1 + 0.2 * scene.grain) * rng.uniform(0.6, 1.3)
    density = stained[..., None] * cytoplasm + cores[..., None] * nucleus
    density += scene.debris[..., None] * rng.uniform(0.2, 0.9, 3).astype(np.float32)
    lamp = rng.uniform(0.8, 0.95) * rng.uniform(0.93, 1.0, 3).astype(np.float32)
    light: FloatArray = lamp * np.exp(-density)
    return light


def show_relief(rng: np.random.Generator, scene: Scene) -> FloatArray:
    """Differential interference contrast: cells lit from one side, as if cast in relief."""
    surface = cv2.GaussianBlur(scene.body * (1 + 0.1 * scene.grain) + 0.3 * scene.nucleus, (0, 0), 0.9)
    dy, dx = np.gradient(surface)
    angle = rng.random() * 2 * np.pi
    gray = rng.uniform(0.42, 0.58) + (dx * np.cos(angle) + dy * np.sin(angle)) * rng.uniform(0.8, 1.5)
    gray += 0.05 * scene.body * rng.uniform(-1, 1) + scene.debris * rng.uniform(-0.25, 0.25) + 0.01 * scene.grain
    return spread_to_rgb(gray)


STYLES: dict[str, Style] = {
    "fluorescence": show_fluorescence,
    "phase": show_phase_contrast,
    "brightfield": show_brightfield,
    "relief": show_relief,
}


def spread_to_rgb(gray: FloatArray) -> FloatArray:
    """(H, W) -> (H, W, 3) with equal channels."""
    return np.repeat(gray.astype(np.float32)[..., None], 3, axis=2)
