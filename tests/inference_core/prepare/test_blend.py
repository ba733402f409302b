from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.errors import ShapeError
from inference_core.prepare.blend import axis_weights, blend_bands, blend_tiles
from inference_core.prepare.plan import plan_fit
from inference_core.records import Placement


@st.composite
def grids(draw: st.DrawFn) -> Placement:
    tile_hw = (draw(st.integers(1, 24)), draw(st.integers(1, 24)))
    image_hw = (draw(st.integers(1, 90)), draw(st.integers(1, 90)))
    return plan_fit(image_hw, fit="tile", size_hw=tile_hw, overlap_px=draw(st.integers(0, min(tile_hw) // 2)))


def cut(canvas: np.ndarray, placement: Placement) -> np.ndarray:
    """(K, H, W) as (T, K, h, w)."""
    height, width = placement.tile_hw
    return np.stack([canvas[:, y : y + height, x : x + width] for y, x in placement.tile_origins_yx])


@settings(deadline=None)
@given(placement=grids(), value=st.integers(0, 255), num_planes=st.integers(1, 3))
def test_equal_tiles_stay_as_they_are(placement: Placement, value: int, num_planes: int) -> None:
    tiles = np.full((placement.num_tiles, num_planes, *placement.tile_hw), value, np.uint8)
    tiles.setflags(write=False)
    canvas = blend_tiles(tiles, placement)
    assert canvas.dtype == np.uint8
    assert canvas.shape == (num_planes, *placement.canvas_hw)
    assert np.all(canvas == value)
    as_float = blend_tiles(tiles.astype(np.float32), placement)
    assert as_float.dtype == np.float32
    assert np.allclose(as_float, value, rtol=1e-6)


@settings(deadline=None)
@given(placement=grids(), seed=st.integers(0, 99))
def test_tiles_that_agree_give_the_map_they_were_cut_from(placement: Placement, seed: int) -> None:
    canvas = np.random.default_rng(seed).integers(0, 256, (2, *placement.canvas_hw), np.uint8)
    assert np.array_equal(blend_tiles(cut(canvas, placement), placement), canvas)


@settings(deadline=None)
@given(placement=grids(), seed=st.integers(0, 99))
def test_quantised_scores_blend_within_1_of_exact_ones(placement: Placement, seed: int) -> None:
    scores = np.random.default_rng(seed).random((placement.num_tiles, 1, *placement.tile_hw)).astype(np.float32) * 255
    exact = blend_tiles(scores, placement)
    quantised = blend_tiles(np.rint(scores).astype(np.uint8), placement)
    assert np.abs(quantised - exact).max() <= 1 + 1e-4


@settings(deadline=None)
@given(placement=grids(), seed=st.integers(0, 99))
def test_a_blend_lies_between_the_tiles(placement: Placement, seed: int) -> None:
    tiles = np.random.default_rng(seed).integers(0, 256, (placement.num_tiles, 1, *placement.tile_hw), np.uint8)
    low = np.full(placement.canvas_hw, 255)
    high = np.zeros(placement.canvas_hw, int)
    height, width = placement.tile_hw
    for tile, (y, x) in zip(tiles[:, 0], placement.tile_origins_yx, strict=True):
        part = (slice(y, y + height), slice(x, x + width))
        low[part] = np.minimum(low[part], tile)
        high[part] = np.maximum(high[part], tile)
    canvas = blend_tiles(tiles, placement)[0]
    assert np.all((canvas >= low) & (canvas <= high))


def test_a_seam_is_a_smooth_step() -> None:
    placement = plan_fit((32, 112), fit="tile", size_hw=(32, 64), overlap_px=16)
    assert placement.tile_origins_yx == ((0, 0), (0, 48))
    tiles = np.zeros((2, 1, 32, 64), np.float32)
    tiles[1] = 1
    row = blend_tiles(tiles, placement)[0, 0]
    assert np.all(row[:48] == 0)
    assert np.all(row[64:] == 1)
    steps = np.diff(row[47:65])
    assert np.all(steps > 0)
    assert steps.max() < 0.15
    assert np.allclose(row[48:64] + row[48:64][::-1], 1, atol=1e-6)


@given(placement=grids())
def test_weights_are_positive_and_add_up_to_1(placement: Placement) -> None:
    starts = tuple(sorted({y for y, _ in placement.tile_origins_yx}))
    weights = axis_weights(starts, placement.tile_hw[0], placement.canvas_hw[0])
    total = np.zeros(placement.canvas_hw[0])
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + placement.tile_hw[0]] += weight
    assert np.all(weights > 0)
    assert np.allclose(total, 1, atol=1e-6)


def test_weights_are_computed_once_and_read_only() -> None:
    first = axis_weights((0, 10), 20, 30)
    assert axis_weights((0, 10), 20, 30) is first
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


@settings(deadline=None)
@given(placement=grids())
def test_bands_cover_the_canvas_once_from_the_top(placement: Placement) -> None:
    tiles = np.ones((placement.num_tiles, 1, *placement.tile_hw), np.uint8)
    next_row = 0
    for top, band in blend_bands(tiles, placement):
        assert top == next_row
        assert 1 <= band.shape[1] <= placement.tile_hw[0]
        next_row += band.shape[1]
    assert next_row == placement.canvas_hw[0]


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (2, 8, 8), (2, 1, 8, 7)], ids=["too_few", "no_classes", "other_size"])
def test_tiles_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    placement = plan_fit((8, 16), fit="tile", size_hw=(8, 8))
    with pytest.raises(ShapeError, match="tiles must be"):
        blend_tiles(np.zeros(shape, np.uint8), placement)


def test_tiles_off_the_grid_are_refused() -> None:
    placement = replace(plan_fit((16, 16), fit="tile", size_hw=(8, 8)), tile_origins_yx=((0, 0), (8, 8)))
    with pytest.raises(ShapeError, match="tile_origins_yx must be a grid"):
        blend_tiles(np.zeros((2, 1, 8, 8), np.uint8), placement)
