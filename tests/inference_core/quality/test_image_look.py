from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy import ndimage

from inference_core.quality.image_look import look_of


@pytest.mark.parametrize(("value", "brightness"), [(0, 0.0), (255, 1.0)], ids=["black", "white"])
def test_one_colour_has_neither_contrast_nor_sharpness(value: int, brightness: float) -> None:
    look = look_of(np.full((1, 1, 3), value, np.uint8))
    assert (look.brightness, look.contrast, look.sharpness) == (brightness, 0.0, 0.0)


def test_figures_are_those_of_numpy_and_scipy() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 41, 3), dtype=np.uint8)
    pixels.flags.writeable = False
    luma = np.rint(pixels @ np.array([0.299, 0.587, 0.114]))
    edges = ndimage.laplace(luma, mode="mirror")  # OpenCV mirrors without the edge pixel, as this does
    look = look_of(pixels)
    # OpenCV's fixed-point luminance is at most one step of 255 away.
    assert look.brightness == pytest.approx(luma.mean() / 255, abs=1e-3)
    assert look.contrast == pytest.approx(luma.std() / 255, abs=1e-3)
    assert look.sharpness == pytest.approx(edges.var(), rel=1e-3)


def test_blur_lowers_sharpness_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sharp, blurred = look_of(pixels), look_of(cv2.GaussianBlur(pixels, (0, 0), 2.0).astype(np.uint8))
    assert blurred.sharpness < sharp.sharpness / 100
    assert blurred.brightness == pytest.approx(sharp.brightness, abs=0.01)
