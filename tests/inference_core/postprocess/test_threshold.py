from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.filters import threshold_otsu

from inference_core.errors import ConfigError, ShapeError
from inference_core.postprocess.threshold import apply_threshold, otsu_level

SCORES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))


@given(scores=SCORES, percent=st.integers(0, 100))
def test_foreground_reaches_the_threshold(scores: np.ndarray, percent: int) -> None:
    mask = apply_threshold(scores, threshold=percent / 100)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, scores.astype(int) * 100 >= percent * 255)


@pytest.mark.parametrize(("threshold", "least"), [(0.0, 0), (0.5, 128), (0.6, 153), (1.0, 255)])
def test_least_level_of_the_foreground(threshold: float, least: int) -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    assert np.flatnonzero(apply_threshold(levels, threshold=threshold))[0] == least


@pytest.mark.parametrize("scale", [255, 1000])
def test_binary_rounding_of_the_threshold_moves_no_level(scale: int) -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    for numerator in range(scale + 1):
        num_background = int((apply_threshold(levels, threshold=numerator / scale) == 0).sum())
        assert num_background == -(-numerator * 255 // scale), numerator


@given(scores=SCORES)
def test_otsu_is_as_good_as_skimage_and_opencv(scores: np.ndarray) -> None:
    level = otsu_level(scores)
    if np.ptp(scores) == 0:
        assert level == scores.flat[0]
        return

    def spread(split: float) -> float:
        above = scores > split
        return (
            0.0
            if above.all() or not above.any()
            else above.mean() * (1 - above.mean()) * (scores[above].mean() - scores[~above].mean()) ** 2
        )

    assert spread(level) >= spread(float(threshold_otsu(scores))) * (1 - 1e-9)
    assert spread(level) >= spread(cv2.threshold(scores, 0, 1, cv2.THRESH_OTSU)[0]) * (1 - 1e-9)


def test_otsu_gives_skimages_level_on_two_groups() -> None:
    generator = np.random.default_rng(0)
    scores = np.concatenate([generator.normal(60, 15, 4000), generator.normal(180, 20, 2000)])
    scores = np.clip(scores, 0, 255).astype(np.uint8)[None]
    assert otsu_level(scores) == threshold_otsu(scores)
    assert 0.3 < apply_threshold(scores, threshold="otsu").mean() < 0.36


def test_otsu_of_one_value_has_no_foreground() -> None:
    assert not apply_threshold(np.full((3, 3), 200, np.uint8), threshold="otsu").any()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_impossible_thresholds_are_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match=r"threshold must be in \[0, 1\]"):
        apply_threshold(np.zeros((2, 2), np.uint8), threshold=threshold)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ShapeError, match="scores must be a 2-D uint8 array"):
        apply_threshold(np.zeros((2, 2), np.float32), threshold=0.5)
    with pytest.raises(ShapeError, match="scores must be uint8 and not empty"):
        otsu_level(np.zeros((0, 2), np.uint8))
