from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import exposure

from inference_core.errors import ConfigError
from inference_core.input_spec import ClaheFilter, GammaFilter, GrayFilter, StretchMinmaxFilter
from inference_core.prepare.filters import adjust_gamma, apply_filters, equalize_adaptive, make_gray, stretch_minmax
from inference_core.records import Uint8Array


def noise(height: int, width: int, channels: int, *, low: int = 0, high: int = 256) -> Uint8Array:
    pixels = np.random.default_rng(height * 1000 + width).integers(low, high, (height, width, channels), np.uint8)
    pixels.setflags(write=False)
    return pixels


def test_no_filters_change_nothing() -> None:
    pixels = noise(3, 4, 3)
    assert apply_filters(pixels, ()) is pixels


def test_gray_keeps_the_number_of_channels() -> None:
    pixels = noise(3, 4, 3)
    luminance = np.asarray(Image.fromarray(pixels).convert("L"))
    gray = apply_filters(pixels, (GrayFilter(),))
    assert gray.shape == (3, 4, 3)
    assert all(np.array_equal(gray[..., channel], luminance) for channel in range(3))
    assert make_gray(pixels[..., :1]).shape == (3, 4, 1)


@given(channels=st.sampled_from([1, 3]), low=st.integers(0, 200), span=st.integers(1, 55))
def test_stretch_is_skimages_rescale(channels: int, low: int, span: int) -> None:
    pixels = noise(9, 7, channels, low=low, high=low + span + 1)
    stretched = stretch_minmax(pixels)
    if pixels.min() < pixels.max():
        expected = exposure.rescale_intensity(pixels.astype(float), out_range=(0, 255))
        assert np.abs(stretched - expected).max() <= 0.5 + 1e-9
        assert (stretched.min(), stretched.max()) == (0, 255)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_stretch_leaves_an_image_of_one_value(value: int) -> None:
    assert np.all(stretch_minmax(np.full((4, 5, 3), value, np.uint8)) == value)


def test_clahe_of_gray_is_opencvs() -> None:
    pixels = noise(50, 70, 1, low=40, high=90)
    expected = cv2.createCLAHE(3.0, (5, 4)).apply(pixels[..., 0])
    assert np.array_equal(equalize_adaptive(pixels, clip_limit=3.0, grid_hw=(4, 5))[..., 0], expected)


def test_clahe_raises_contrast_and_follows_its_options() -> None:
    pixels = noise(64, 64, 1, low=100, high=120)
    gentle, strong, fine = (
        equalize_adaptive(pixels, clip_limit=clip_limit, grid_hw=grid_hw)
        for clip_limit, grid_hw in ((1.0, (2, 2)), (8.0, (2, 2)), (8.0, (8, 8)))
    )
    assert pixels.std() < gentle.std() < strong.std()
    assert not np.array_equal(strong, fine)


def test_clahe_of_colour_keeps_the_colour_and_equals_gray_where_there_is_none() -> None:
    gray = noise(40, 40, 1, low=60, high=120)
    expected = equalize_adaptive(gray, clip_limit=2.0, grid_hw=(4, 4))
    colourless = equalize_adaptive(np.repeat(gray, 3, axis=2), clip_limit=2.0, grid_hw=(4, 4))
    assert np.array_equal(colourless, np.repeat(expected, 3, axis=2))
    reddish = np.concatenate([gray + 40, gray, gray], axis=2)
    chroma_before, chroma_after = (
        cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)[..., 1:].astype(int)
        for pixels in (reddish, equalize_adaptive(reddish, clip_limit=2.0, grid_hw=(2, 2)))
    )
    assert np.abs(chroma_before - chroma_after).mean() < 1.5


@pytest.mark.parametrize("image_hw", [(1, 1), (1, 500), (500, 1), (3, 3)], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_takes_extreme_sizes(image_hw: tuple[int, int], channels: int) -> None:
    steps = (GrayFilter(), StretchMinmaxFilter(), ClaheFilter(grid=(8, 8)), GammaFilter(gamma=1.2))
    pixels = noise(*image_hw, channels)
    filtered = apply_filters(pixels, steps)
    assert filtered.shape == (*image_hw, channels)
    assert filtered.dtype == np.uint8


@pytest.mark.parametrize("gamma", [0.4, 1.0, 1.2, 2.2])
def test_gamma_is_skimages_rounded_down(gamma: float) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    exact = exposure.adjust_gamma(levels / 255, 1 / gamma) * 255
    adjusted = adjust_gamma(levels, gamma=gamma)
    assert np.all((exact - adjusted < 1 + 1e-9) & (adjusted <= exact + 1e-9))
    assert adjusted.ravel()[[0, 255]].tolist() == [0, 255]


def test_gamma_above_1_is_brighter() -> None:
    levels = np.full((2, 2, 3), 100, np.uint8)
    assert adjust_gamma(levels, gamma=2.0)[0, 0, 0] > 100 > adjust_gamma(levels, gamma=0.5)[0, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_strided_pixels_give_the_same(channels: int) -> None:
    mirrored = noise(20, 30, channels, low=20, high=90)[::-1, ::-1]
    steps = (GrayFilter(), StretchMinmaxFilter(), ClaheFilter(grid=(2, 2)), GammaFilter(gamma=1.2))
    assert np.array_equal(apply_filters(mirrored, steps), apply_filters(mirrored.copy(), steps))
    assert np.array_equal(apply_filters(mirrored, steps[2:]), apply_filters(mirrored.copy(), steps[2:]))
    assert np.array_equal(adjust_gamma(mirrored, gamma=2.0), adjust_gamma(mirrored.copy(), gamma=2.0))


@settings(deadline=None)
@given(order=st.permutations([StretchMinmaxFilter(), ClaheFilter(grid=(2, 2)), GammaFilter(gamma=2.0)]))
def test_filters_run_in_the_order_given(order: list[object]) -> None:
    pixels = noise(16, 16, 1, low=30, high=70)
    expected = pixels
    for step in order:
        expected = apply_filters(expected, (step,))
    assert np.array_equal(apply_filters(pixels, order), expected)


@pytest.mark.parametrize("gamma", [0, -1, float("nan"), float("inf")])
def test_impossible_gamma_is_refused(gamma: float) -> None:
    with pytest.raises(ConfigError, match="gamma must be finite and > 0"):
        adjust_gamma(noise(2, 2, 1), gamma=gamma)


@pytest.mark.parametrize(("clip_limit", "grid_hw"), [(0, (8, 8)), (float("nan"), (8, 8)), (2, (0, 8))])
def test_impossible_clahe_is_refused(clip_limit: float, grid_hw: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="clahe must have clip_limit > 0"):
        equalize_adaptive(noise(2, 2, 1), clip_limit=clip_limit, grid_hw=grid_hw)
