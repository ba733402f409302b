from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import measure as regions

from inference_core.quality.mask_measures import boundary_band, coherence_of, count_regions

TABLE = Path(__file__).parents[2] / "references" / "morans_i.json"
MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 3))


def pixels_of(mask: Any) -> Any:
    return np.bincount(mask.ravel(), minlength=4).astype(np.int64)


def morans_i(mask: Any, class_id: int) -> float:
    """By the definition: a matrix of weights over all pairs of pixels."""
    rows, columns = np.indices(mask.shape).reshape(2, -1)
    steps = np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns)
    weights = (steps == 1).astype(np.float64)
    values = (mask.ravel() == class_id).astype(np.float64)
    off = values - values.mean()
    return float(len(values) / weights.sum() * (off @ weights @ off) / (off @ off))


@given(MASKS, st.integers(1, 4))
def test_the_band_is_where_scipy_finds_another_class_near(mask: Any, radius_px: int) -> None:
    size = 2 * radius_px + 1
    largest = ndimage.maximum_filter(mask, size=size, mode="nearest")
    smallest = ndimage.minimum_filter(mask, size=size, mode="nearest")
    band = boundary_band(mask, radius_px=radius_px)
    assert np.array_equal(band, (largest != smallest).astype(np.uint8))


@given(hnp.arrays(np.uint8, (9, 11), elements=st.integers(0, 1)), st.integers(1, 4))
def test_the_band_of_two_classes_is_a_chessboard_distance(mask: Any, radius_px: int) -> None:
    if len(np.unique(mask)) < 2:
        assert not boundary_band(mask, radius_px=radius_px).any()
        return
    far = [ndimage.distance_transform_cdt(part, metric="chessboard") for part in (mask, 1 - mask)]
    assert np.array_equal(boundary_band(mask, radius_px=radius_px), (np.maximum(*far) <= radius_px).astype(np.uint8))


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 1)))
def test_coherence_of_two_classes_is_morans_i_of_either(mask: Any) -> None:
    found = coherence_of(mask, pixels_of(mask))
    if len(np.unique(mask)) < 2:
        assert found is None
        return
    assert found == pytest.approx(morans_i(mask, 1), abs=1e-9)
    assert found == pytest.approx(morans_i(mask, 0), abs=1e-9)


@pytest.mark.parametrize("case", json.loads(TABLE.read_text())["cases"], ids=lambda case: "|".join(case["mask"])[:24])
def test_coherence_of_two_classes_is_that_of_a_package_for_spatial_statistics(case: Any) -> None:
    """See ``tests/references/write_morans_i.py``, which wrote the table with esda."""
    mask = np.array([[int(sign) for sign in row] for row in case["mask"]], np.uint8)
    assert coherence_of(mask, pixels_of(mask)) == pytest.approx(case["i"], abs=1e-11)  # the table has twelve digits


@given(MASKS)
def test_coherence_of_more_classes_weighs_each_ones_by_its_variance(mask: Any) -> None:
    pixels = pixels_of(mask)
    found, shares = coherence_of(mask, pixels), pixels / mask.size
    if np.count_nonzero(pixels) < 2:
        assert found is None
        return
    present = np.flatnonzero(pixels)
    weights = (shares * (1 - shares))[present]
    values = np.array([morans_i(mask, class_id) for class_id in present.tolist()])
    assert found == pytest.approx(float(weights @ values / weights.sum()), abs=1e-9)


@pytest.mark.parametrize(
    ("mask", "least", "most"),
    [
        pytest.param(np.indices((64, 64)).sum(axis=0) % 2, -1.0, -0.99, id="chessboard"),
        pytest.param(np.arange(64 * 64).reshape(64, 64) // 2048, 0.98, 1.0, id="halves"),
        pytest.param(np.random.default_rng(0).integers(0, 2, (64, 64)), -0.05, 0.05, id="noise"),
    ],
)
def test_coherence_means_what_it_says(mask: Any, least: float, most: float) -> None:
    found = coherence_of(mask.astype(np.uint8), pixels_of(mask))
    assert found is not None
    assert least <= found <= most


def test_one_pixel_has_no_coherence() -> None:
    assert coherence_of(np.zeros((1, 1), np.uint8), np.array([1, 0])) is None


@given(MASKS)
def test_regions_are_those_of_skimage(mask: Any) -> None:
    labelled = regions.label(mask, background=0, connectivity=2)  # type: ignore[no-untyped-call]
    assert count_regions(mask, class_ids=[1, 2, 3]) == labelled.max()


def test_regions_of_no_class_are_none() -> None:
    assert count_regions(np.ones((2, 2), np.uint8), class_ids=[]) == 0
