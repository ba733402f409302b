from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.tasks import mask_grid
from inference_core.tasks.mask_grid import LOGIT_SOFTNESS, cell_weights, grid_level, sample_grid
from tests.arrays import LIBRARIES, array_of, numpy_of

each_library = pytest.mark.parametrize("library", LIBRARIES)


def grids_of(maps: Any, windows: Any, *, library: str = "numpy", **options: Any) -> tuple[Any, list[bool]]:
    options = {"input_hw": (8, 8), "mask_px": 4, "is_logits": False, **options}
    grids, finite = sample_grid(array_of(maps, library=library), array_of(windows, library=library), **options)
    return numpy_of(grids), numpy_of(finite).tolist()


@each_library
def test_no_object_has_no_grid(library: str) -> None:
    grids, finite = grids_of(np.zeros((0, 8, 8)), np.zeros((0, 4)), library=library)
    assert (grids.shape, grids.dtype, finite) == ((0, 4, 4), np.uint8, [])


@each_library
def test_cells_of_whole_pixels_are_their_means(library: str) -> None:
    """Each weight of the straight line between pixel centres is that of a mean, but for the shares of neighbours."""
    ramp = np.broadcast_to(np.arange(16) / 16, (1, 16, 16))  # 16 pixels over an input of 8
    grids, _ = grids_of(ramp, [[1, 0, 7, 8]], library=library, mask_px=6)
    expected = (np.arange(2, 14).reshape(6, 2).mean(axis=1)) / 16 * 255
    np.testing.assert_array_equal(grids[0], np.broadcast_to(np.round(expected), (6, 6)))


@each_library
def test_small_cells_are_interpolated(library: str) -> None:
    step = np.zeros((1, 2, 2))
    step[0, :, 1] = 1  # centres at 2 and 6 of an input of 8
    grids, _ = grids_of(step, [[0, 0, 8, 8]], library=library, mask_px=8)
    expected = np.clip((np.arange(8) + 0.5 - 2) / 4, 0, 1) * 255
    np.testing.assert_allclose(grids[0, 0], expected, atol=4)  # cells that span a bend average over it
    assert (grids[0] == grids[0, :1]).all()


@each_library
def test_bytes_stand_for_scores(library: str) -> None:
    maps = np.full((1, 4, 4), 0.4)
    of_bytes: Any = array_of(np.round(maps * 255), library=library)
    of_bytes = of_bytes.byte() if library == "torch" else of_bytes.astype(np.uint8)
    windows = array_of([[0, 0, 8, 8]], library=library)
    grids, _ = sample_grid(of_bytes, windows, input_hw=(8, 8), mask_px=4, is_logits=False)
    np.testing.assert_array_equal(numpy_of(grids), grids_of(maps, [[0, 0, 8, 8]], library=library)[0])


@each_library
@pytest.mark.parametrize("logit", [-1000.0, -3.0, 0.0, 2.0, np.inf, -np.inf])
def test_logits_are_softened(library: str, logit: float) -> None:
    grids, finite = grids_of(np.full((1, 4, 4), logit), [[0, 0, 8, 8]], library=library, is_logits=True)
    with np.errstate(over="ignore"):
        expected = 255 / (1 + np.exp(-logit / LOGIT_SOFTNESS))
    np.testing.assert_allclose(grids, expected, atol=0.51)
    assert finite == [True]


@each_library
def test_what_is_no_number_is_told(library: str) -> None:
    maps = np.zeros((2, 4, 4))
    maps[1, 2, 2] = np.nan
    assert grids_of(maps, [[0, 0, 8, 8]] * 2, library=library)[1] == [True, False]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_level_of_logits_is_the_softened_threshold(threshold: float) -> None:
    logit = np.log(threshold / (1 - threshold))
    assert grid_level(threshold, is_logits=True) == pytest.approx(1 / (1 + np.exp(-logit / LOGIT_SOFTNESS)))
    assert grid_level(threshold, is_logits=False) == threshold


def test_objects_are_done_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = np.random.default_rng(0).random((5, 6, 7))
    windows = [[k, 0, 8, 8 - k] for k in range(5)]
    expected, _ = grids_of(maps, windows)
    monkeypatch.setattr(mask_grid, "MAX_MAP_VALUES", 90)  # two maps
    np.testing.assert_array_equal(grids_of(maps, windows)[0], expected)


@given(
    low=st.floats(0, 60),
    length=st.floats(0.01, 60),
    num_pixels=st.integers(1, 70),
    num_cells=st.integers(1, 60),
)
@settings(max_examples=300, deadline=None)
def test_weights_sum_to_1_and_keep_places(low: float, length: float, num_pixels: int, num_cells: int) -> None:
    """What rises with the place does so on the grid, too: away from the ends, a cell's mean is its centre."""
    high = min(low + length, 64.0)
    ends = np.float32([[low, high]])
    weights = cell_weights(ends, side=64, num_pixels=num_pixels, num_cells=num_cells)[0].astype(np.float64)
    assert weights.shape == (num_cells, num_pixels)
    assert (weights >= -1e-6).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    if high - low < 0.1:
        return  # differences of numbers that are nearly equal
    pixel = 64 / num_pixels
    edges = np.linspace(low, high, num_cells + 1)
    inner = (edges[:-1] >= pixel / 2 + 1e-3) & (edges[1:] <= 64 - pixel / 2 - 1e-3)
    found = weights @ ((np.arange(num_pixels) + 0.5) * pixel)
    centers = (edges[1:] + edges[:-1]) / 2
    # float32 rounds where edges lie, which counts the more the smaller a cell is.
    atol = 1e-3 * pixel + 1e-4 * pixel * num_cells / (high - low)
    np.testing.assert_allclose(found[inner], centers[inner], atol=atol)
