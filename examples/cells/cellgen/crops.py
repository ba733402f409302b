"""A pool of drawn images and random training crops from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cellgen.files import to_uint8
from cellgen.sample import draw_sample

Uint8Array = NDArray[np.uint8]

REFLECT_FRAC = 0.15
"""Share of crops that reach over the image's border, filled by reflection as the package's tiles are."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropPool:
    """Images and truths in memory."""

    images: tuple[Uint8Array, ...]
    """Each (H, W, 3) uint8."""
    truths: tuple[Uint8Array, ...]
    """Each (H, W) uint8 class ids."""

    def draw_batch(self, rng: np.random.Generator, *, size: int, crop_px: int) -> tuple[Uint8Array, Uint8Array]:
        """Cut random squares, turned and mirrored at random.

        Returns:
            (size, crop_px, crop_px, 3) and (size, crop_px, crop_px), both uint8.
        """
        picks = rng.integers(len(self.images), size=size)
        crops = [draw_crop(rng, self.images[pick], self.truths[pick], crop_px=crop_px) for pick in picks]
        return np.stack([pixels for pixels, _ in crops]), np.stack([truth for _, truth in crops])


def draw_pool(*, seed: int, count: int) -> CropPool:
    """Draw images 0 to ``count - 1`` of a collection."""
    samples = [draw_sample(seed=seed, index=index) for index in range(count)]
    return CropPool(
        images=tuple(spread_to_rgb(to_uint8(sample.light)) for sample in samples),
        truths=tuple(sample.truth for sample in samples),
    )


def draw_crop(
    rng: np.random.Generator, pixels: Uint8Array, truth: Uint8Array, *, crop_px: int
) -> tuple[Uint8Array, Uint8Array]:
    """Cut one square out of an image and its truth."""
    if rng.random() < REFLECT_FRAC:
        margin = crop_px // 2
        pixels = np.pad(pixels, [(margin, margin), (margin, margin), (0, 0)], mode="reflect")
        truth = np.pad(truth, margin, mode="reflect")
    top, left = (rng.integers(side - crop_px + 1) for side in truth.shape)
    window = np.s_[top : top + crop_px, left : left + crop_px]
    turns, is_mirrored = int(rng.integers(4)), rng.random() < 0.5
    cut = [np.rot90(array[window], turns) for array in (pixels, truth)]
    first, second = (np.flip(array, axis=1) if is_mirrored else array for array in cut)
    return first, second


def spread_to_rgb(pixels: Uint8Array) -> Uint8Array:
    """(H, W) or (H, W, 3) -> (H, W, 3)."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
