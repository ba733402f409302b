from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference_core.errors import ShapeError
from inference_core.prepare.color import to_gray


@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 999))
def test_gray_is_pillows_luminance(size: tuple[int, int], seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    pixels.setflags(write=False)
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.array_equal(to_gray(pixels), expected[..., None])


def test_gray_follows_itu_r_601() -> None:
    pixels = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert to_gray(pixels).ravel().tolist() == [76, 150, 29, 255]


def test_gray_pixels_stay_as_they_are() -> None:
    pixels = np.full((2, 3, 1), 7, np.uint8)
    assert to_gray(pixels) is pixels


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        pytest.param((0, 4, 3), np.uint8, id="empty"),
        pytest.param((4, 4), np.uint8, id="two_dimensions"),
        pytest.param((4, 4, 4), np.uint8, id="alpha"),
        pytest.param((4, 4, 3), np.float32, id="float"),
    ],
)
def test_other_arrays_are_refused(shape: tuple[int, ...], dtype: type) -> None:
    with pytest.raises(ShapeError, match="pixels must be"):
        to_gray(np.zeros(shape, dtype))
