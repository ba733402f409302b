from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.errors import ShapeError
from inference_core.prepare.blend import blend_tiles
from inference_core.prepare.fit import apply_fit
from inference_core.prepare.placement import (
    boxes_to_image,
    map_to_image,
    points_to_canvas,
    points_to_image,
    seen_part,
)
from inference_core.prepare.plan import plan_fit
from inference_core.records import Placement, Uint8Array

FITS = ["letterbox", "stretch", "shortest_side_crop", "native", "tile"]


@st.composite
def placements(draw: st.DrawFn, *, max_side: int) -> Placement:
    sides = st.one_of(st.just(1), st.integers(1, max_side))
    return plan_fit(
        (draw(sides), draw(sides)),
        fit=draw(st.sampled_from(FITS)),
        size_hw=(draw(st.integers(24, 64)), draw(st.integers(24, 64))),
        resize_px=draw(st.none() | st.integers(1, 64)),
        multiple_px=draw(st.integers(1, 32)),
        overlap_px=draw(st.integers(0, 6)),
    )


def smooth_image(height: int, width: int) -> Uint8Array:
    y, x = np.mgrid[:height, :width]
    wave = 128 + 60 * np.sin(y / height * 3) + 60 * np.cos(x / width * 3)
    return np.repeat(np.rint(wave).astype(np.uint8)[..., None], 3, axis=2)


@given(placement=placements(max_side=5000), seed=st.integers(0, 99))
def test_points_come_back(placement: Placement, seed: int) -> None:
    height, width = placement.image_hw
    points = (np.random.default_rng(seed).random((8, 2)) * [width, height]).astype(np.float32)
    restored = points_to_image(points_to_canvas(points, placement), placement)
    assert restored.dtype == np.float32
    # float32 itself resolves 1/2048 px at 5000 px, on the canvas and in the image.
    canvas_resolution = np.spacing(np.abs(points_to_canvas(points, placement)).max() + 1)
    scale = min(s / i for s, i in zip(placement.scaled_hw, placement.image_hw, strict=True))
    assert np.abs(restored - points).max() <= 1e-3 + canvas_resolution / scale


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("image_hw", [(1, 1), (1, 5000), (5000, 1), (375, 500)], ids=str)
def test_points_come_back_within_a_thousandth_of_a_pixel(fit: str, image_hw: tuple[int, int]) -> None:
    placement = plan_fit(image_hw, fit=fit, size_hw=(224, 224), resize_px=256, multiple_px=32, overlap_px=32)
    height, width = image_hw
    corners = np.array([[0, 0], [width, height], [width / 2, height / 3]])
    assert np.abs(points_to_image(points_to_canvas(corners, placement), placement) - corners).max() <= 1e-3


def test_corners_of_the_image_lie_where_the_pixels_do() -> None:
    placement = plan_fit((100, 200), fit="letterbox", size_hw=(128, 128))
    canvas = points_to_canvas(np.array([[0.0, 0.0], [200.0, 100.0]]), placement)
    assert canvas.tolist() == [[0, 32], [128, 96]]


def test_points_of_a_tile_begin_at_its_corner() -> None:
    placement = plan_fit((100, 200), fit="tile", size_hw=(64, 64))
    assert placement.tile_origins_yx[-1] == (36, 136)
    point = np.array([[1.5, 2.5]])
    assert points_to_image(point, placement, tile_index=placement.num_tiles - 1).tolist() == [[137.5, 38.5]]


def test_boxes_are_restored_and_clipped() -> None:
    placement = plan_fit((100, 200), fit="letterbox", size_hw=(128, 128))
    boxes = np.array([[0, 32, 128, 96], [-9, 0, 64, 64], [0, 0, 128, 20], [32, 48, 64, 64]], np.float32)
    expected = [[0, 0, 200, 100], [0, 0, 100, 50], [0, 0, 200, 0], [50, 25, 100, 50]]
    assert boxes_to_image(boxes, placement).tolist() == expected


def test_boxes_of_a_tile_are_moved() -> None:
    placement = plan_fit((100, 200), fit="tile", size_hw=(64, 64))
    box = np.array([[0, 0, 10, 99]], np.float32)
    assert boxes_to_image(box, placement, tile_index=placement.num_tiles - 1).tolist() == [[136, 36, 146, 100]]


@pytest.mark.parametrize("size", [2, 4])
def test_no_points_and_no_boxes_are_fine(size: int) -> None:
    placement = plan_fit((10, 20), fit="letterbox", size_hw=(8, 8))
    restore = points_to_image if size == 2 else boxes_to_image
    assert restore(np.zeros((0, size)), placement).shape == (0, size)
    with pytest.raises(ShapeError, match=rf"must be \(N, {size}\)"):
        restore(np.zeros((3, 3)), placement)


@settings(deadline=None)
@given(
    placement=placements(max_side=300),
    interpolation=st.sampled_from(["nearest", "bilinear"]),
    num_planes=st.sampled_from([None, 1, 3]),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
def test_maps_get_exactly_the_image_size_and_keep_a_constant(
    placement: Placement, interpolation: str, num_planes: int | None, dtype: type
) -> None:
    planes = () if num_planes is None else (num_planes,)
    values = np.full((*planes, *placement.canvas_hw), 77, dtype)
    values.setflags(write=False)
    restored = map_to_image(values, placement, interpolation=interpolation, fill=3)
    assert restored.shape == (*planes, *placement.image_hw)
    assert restored.dtype == dtype
    rows, columns = seen_part(placement)
    # OpenCV averages float32 with rounded weights; uint8 stays exact.
    assert np.allclose(restored[..., rows, columns], 77, rtol=1e-6 if dtype == np.float32 else 0, atol=0)
    unseen = np.ones(placement.image_hw, bool)
    unseen[rows, columns] = False
    assert np.all(restored[..., unseen] == 3)


@given(placement=placements(max_side=300))
def test_seen_pixels_are_those_whose_centre_is_on_the_canvas(placement: Placement) -> None:
    for axis, part in enumerate(seen_part(placement)):
        size, scaled = placement.image_hw[axis], placement.scaled_hw[axis]
        # Twice the centre times the image's size: integers, so that edges are exact.
        position = (2 * np.arange(size) + 1) * scaled + 2 * placement.offset_yx[axis] * size
        on_canvas = (position >= 0) & (position < 2 * placement.canvas_hw[axis] * size)
        assert np.array_equal(np.flatnonzero(on_canvas), np.arange(size)[part])


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("image_hw", [(120, 160), (160, 120), (50, 300), (31, 33)], ids=str)
def test_a_smooth_image_survives_the_way_there_and_back(fit: str, image_hw: tuple[int, int]) -> None:
    pixels = smooth_image(*image_hw)
    placement = plan_fit(image_hw, fit=fit, size_hw=(64, 64), resize_px=64, multiple_px=16, overlap_px=8)
    prepared = apply_fit(pixels, placement, pad_mode="edge")
    canvas = blend_tiles(np.ascontiguousarray(prepared.tiles.transpose(0, 3, 1, 2)), placement)
    restored = map_to_image(canvas, placement, interpolation="bilinear")
    rows, columns = seen_part(placement)
    error = np.abs(restored[0].astype(int) - pixels[..., 0])[rows, columns]
    # The wave's slope is at most 180 levels a side; at the edges scaling blurs half a pixel of the coarser grid.
    coarsest = np.minimum(placement.scaled_hw, image_hw)
    assert error.max() <= 2 + (90 / coarsest).sum()
    assert error.mean() <= 1.2


@pytest.mark.parametrize("fit", FITS)
def test_nearest_maps_hold_only_the_class_ids_that_were_there(fit: str) -> None:
    placement = plan_fit((77, 130), fit=fit, size_hw=(64, 64), resize_px=80, multiple_px=16)
    class_map = (np.indices(placement.canvas_hw).sum(axis=0) % 2 * 200).astype(np.uint8)
    assert set(np.unique(map_to_image(class_map, placement, interpolation="nearest"))) == {0, 200}


def test_nearest_takes_the_pixel_under_the_centre() -> None:
    placement = plan_fit((3, 3), fit="stretch", size_hw=(2, 4))
    class_map = np.arange(8, dtype=np.uint8).reshape(2, 4)
    assert map_to_image(class_map, placement, interpolation="nearest").tolist() == [[0, 2, 3], [4, 6, 7], [4, 6, 7]]


def test_bilinear_averages_where_the_image_was_enlarged() -> None:
    placement = plan_fit((2, 2), fit="stretch", size_hw=(8, 8))
    values = np.zeros((8, 8), np.uint8)
    values[0, 0] = 160
    assert map_to_image(values, placement, interpolation="bilinear").tolist() == [[10, 0], [0, 0]]


def test_a_centre_on_the_edge_belongs_to_the_half_open_canvas() -> None:
    placement = plan_fit((10, 20), fit="shortest_side_crop", size_hw=(20, 38), resize_px=20)
    assert placement.offset_yx == (0, -1)  # centres at 1, 3, .. 39 and the canvas over [1, 39)
    assert seen_part(placement) == (slice(0, 10), slice(0, 19))


def test_a_cropped_image_is_put_back_in_place() -> None:
    placement = plan_fit((4, 8), fit="shortest_side_crop", size_hw=(4, 4), resize_px=4)
    values = np.arange(16, dtype=np.uint8).reshape(4, 4)
    restored = map_to_image(values, placement, interpolation="bilinear", fill=99)
    assert np.array_equal(restored[:, 2:6], values)
    assert np.all(restored[:, [0, 1, 6, 7]] == 99)


def test_a_map_that_needs_nothing_is_still_a_copy() -> None:
    placement = plan_fit((4, 4), fit="native")
    values = np.ones((4, 4), np.uint8)
    assert not np.shares_memory(map_to_image(values, placement, interpolation="nearest"), values)


@pytest.mark.parametrize("shape", [(8, 9), (8,), (1, 1, 8, 8)], ids=["size", "one_axis", "four_axes"])
def test_a_map_of_another_size_is_refused(shape: tuple[int, ...]) -> None:
    placement = plan_fit((10, 20), fit="letterbox", size_hw=(8, 8))
    with pytest.raises(ShapeError, match="values must be"):
        map_to_image(np.zeros(shape, np.uint8), placement, interpolation="nearest")


@settings(deadline=None)
@given(placement=placements(max_side=300), seed=st.integers(0, 99))
def test_every_seen_pixel_takes_its_value_from_where_the_affine_map_says(placement: Placement, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, placement.canvas_hw, np.uint8)
    rows, columns = seen_part(placement)
    sources, ties = [], []
    for axis, part in enumerate((rows, columns)):
        size, scaled = placement.image_hw[axis], placement.scaled_hw[axis]
        numerator = (2 * np.arange(size) + 1)[part] * scaled
        sources.append(np.clip(numerator // (2 * size), 0, scaled - 1) + placement.offset_yx[axis])
        ties.append(numerator % (2 * size) == 0)  # the centre lies between two pixels: either is right
    inside = [np.clip(source, 0, canvas - 1) for source, canvas in zip(sources, placement.canvas_hw, strict=True)]
    restored = map_to_image(values, placement, interpolation="nearest")[rows, columns]
    is_clear = ~(ties[0][:, None] | ties[1][None])
    assert np.array_equal(restored[is_clear], values[np.ix_(*inside)][is_clear])


@pytest.mark.parametrize("fit", ["letterbox", "shortest_side_crop"])
def test_bilinear_is_numpys_interpolation_between_pixel_centres(fit: str) -> None:
    placement = plan_fit((100, 140), fit=fit, size_hw=(32, 32), resize_px=40)
    ramp = np.tile(np.arange(32, dtype=np.float32) * 5, (32, 1))
    rows, columns = seen_part(placement)
    row = map_to_image(ramp, placement, interpolation="bilinear")[rows, columns][30]
    centres = np.column_stack([np.arange(140) + 0.5, np.full(140, 50.0)])[columns]
    at = points_to_canvas(centres, placement)[:, 0] - 0.5
    first = max(0, placement.offset_yx[1])
    seen = slice(first, min(32, placement.offset_yx[1] + placement.scaled_hw[1]))
    expected = np.interp(at, np.arange(32)[seen], ramp[0][seen])
    # OpenCV's weights are float32 and its position is not clamped to the same rounding.
    assert np.abs(row - expected).max() < 0.01
