from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.explain.to_image import to_image
from inference_core.prepare import plan_fit
from inference_core.prepare.plan import Fit


def center_of(heatmap: np.ndarray) -> tuple[float, float]:
    """Centre of mass in pixels, x first, pixel centres at .5."""
    ys, xs = np.mgrid[: heatmap.shape[0], : heatmap.shape[1]] + 0.5
    weights = heatmap.astype(np.float64)
    return float((xs * weights).sum() / weights.sum()), float((ys * weights).sum() / weights.sum())


def test_a_letterbox_of_the_same_scale_gives_every_pixel_back() -> None:
    placement = plan_fit((20, 32), fit="letterbox", size_hw=(32, 32))
    heat = np.random.default_rng(0).normal(size=(1, 32, 32)).astype(np.float32)
    np.testing.assert_array_equal(to_image(heat, placement), heat[0, 6:26])


@given(row=st.integers(8, 23), column=st.integers(2, 29), factor=st.integers(2, 5))
def test_one_cell_in_a_letterbox_lies_where_it_came_from(row: int, column: int, factor: int) -> None:
    # The image is ``factor`` times as large as what the model saw of it: 20 of 32 rows.
    placement = plan_fit((20 * factor, 32 * factor), fit="letterbox", size_hw=(32, 32))
    heat = np.zeros((1, 32, 32), np.float32)
    heat[0, row, column] = 1.0
    found = to_image(heat, placement)
    assert found.shape == (20 * factor, 32 * factor)
    x, y = center_of(found)
    assert (x, y) == pytest.approx(((column + 0.5) * factor, (row - 6 + 0.5) * factor), abs=1e-3)
    assert found[(row - 6) * factor + factor // 2, column * factor + factor // 2] > 0.5


@pytest.mark.parametrize(
    ("image_hw", "fit"),
    [
        pytest.param((40, 64), "letterbox", id="padding tells nothing"),
        pytest.param((40, 64), "native", id="nor does that at the edges"),
        pytest.param((40, 64), "stretch", id="no padding"),
        pytest.param((70, 90), "tile", id="tiles are blended"),
    ],
)
def test_equal_heat_stays_equal(image_hw: tuple[int, int], fit: Fit) -> None:
    placement = plan_fit(image_hw, fit=fit, size_hw=(32, 32), multiple_px=32, overlap_px=8 if fit == "tile" else 0)
    found = to_image(np.full((placement.num_tiles, *placement.tile_hw), 0.25, np.float32), placement)
    np.testing.assert_allclose(found, np.full(image_hw, 0.25), atol=1e-6)


def test_what_was_cropped_tells_nothing() -> None:
    placement = plan_fit((32, 96), fit="shortest_side_crop", size_hw=(32, 32), resize_px=32)
    found = to_image(np.ones((1, 32, 32), np.float32), placement)
    assert found[:, 32:64].min() == 1.0
    assert not found[:, :32].any()
    assert not found[:, 64:].any()


def test_a_tile_lies_at_its_place() -> None:
    placement = plan_fit((64, 64), fit="tile", size_hw=(32, 32))
    heat = np.zeros((placement.num_tiles, 32, 32), np.float32)
    heat[placement.tile_origins_yx.index((32, 0)), 3, 5] = 2.0
    found = to_image(heat, placement)
    assert found[35, 5] == 2.0
    assert np.count_nonzero(found) == 1
