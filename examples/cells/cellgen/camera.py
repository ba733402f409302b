"""From light to numbers: uneven illumination, exposure, and the noise of photons and of the chip."""

from __future__ import annotations

import numpy as np

from cellgen.outline import FloatArray


def apply_illumination(rng: np.random.Generator, light: FloatArray) -> FloatArray:
    """Multiply (H, W, 3) light by a field that tilts to one side and darkens towards the corners."""
    height, width = light.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    tilt_y, tilt_x = rng.normal(0, 0.08, 2)
    field = 1 + tilt_y * y + tilt_x * x - rng.uniform(0, 0.15) * (y * y + x * x)
    lit: FloatArray = light * field.astype(np.float32)[..., None]
    return lit


def expose(rng: np.random.Generator, light: FloatArray, *, gray: bool) -> FloatArray:
    """Record (H, W, 3) light with noise.

    Returns:
        (H, W) where ``gray``, else (H, W, 3); float32 in [0, 1].
    """
    seen = light.mean(axis=2) if gray else light
    seen = np.clip(seen * np.float32(rng.uniform(0.8, 1.15)), 0, 1)
    read_noise, shot_noise = rng.uniform(0.003, 0.02), rng.uniform(0.005, 0.05)
    deviation = np.sqrt(np.float32(read_noise**2) + np.float32(shot_noise**2) * seen)
    recorded: FloatArray = np.clip(seen + deviation * rng.standard_normal(seen.shape, dtype=np.float32), 0, 1)
    return recorded
