from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError, ShapeError, TooLargeError
from inference_core.prepare.plan import MAX_TILES, check_fit_limit, count_tiles, plan_fit, tile_starts

SIDES = st.integers(1, 6000)
IMAGES = st.tuples(SIDES, SIDES)


@pytest.mark.parametrize(
    ("image_hw", "size_hw", "scaled_hw", "offset_yx"),
    [
        pytest.param((1, 1), (1, 1), (1, 1), (0, 0), id="one_pixel"),
        pytest.param((1, 1), (256, 256), (256, 256), (0, 0), id="one_pixel_up"),
        pytest.param((1, 5000), (256, 256), (1, 256), (127, 0), id="line_keeps_one_row"),
        pytest.param((5000, 1), (256, 256), (256, 1), (0, 127), id="column_keeps_one_column"),
        pytest.param((375, 500), (256, 256), (192, 256), (32, 0), id="landscape"),
        pytest.param((500, 375), (256, 256), (256, 192), (0, 32), id="portrait"),
        pytest.param((100, 201), (100, 100), (50, 100), (25, 0), id="half_to_even"),
        pytest.param((100, 197), (100, 100), (51, 100), (24, 0), id="odd_rest_below"),
        pytest.param((480, 640), (640, 320), (240, 320), (200, 0), id="tall_input"),
    ],
)
def test_letterbox(
    image_hw: tuple[int, int], size_hw: tuple[int, int], scaled_hw: tuple[int, int], offset_yx: tuple[int, int]
) -> None:
    placement = plan_fit(image_hw, fit="letterbox", size_hw=size_hw)
    assert (placement.scaled_hw, placement.offset_yx) == (scaled_hw, offset_yx)
    assert placement.canvas_hw == placement.tile_hw == size_hw


@given(image_hw=IMAGES, size_hw=st.tuples(st.integers(1, 700), st.integers(1, 700)))
def test_letterbox_keeps_aspect_touches_two_sides_and_is_centred(
    image_hw: tuple[int, int], size_hw: tuple[int, int]
) -> None:
    placement = plan_fit(image_hw, fit="letterbox", size_hw=size_hw)
    (height, width), (top, left) = placement.scaled_hw, placement.offset_yx
    assert 1 <= height <= size_hw[0]
    assert 1 <= width <= size_hw[1]
    assert height == size_hw[0] or width == size_hw[1]
    assert 0 <= size_hw[0] - height - 2 * top <= 1
    assert 0 <= size_hw[1] - width - 2 * left <= 1
    scale = min(size_hw[0] / image_hw[0], size_hw[1] / image_hw[1])
    assert abs(height - max(1, image_hw[0] * scale)) <= 0.5 + 1e-6
    assert abs(width - max(1, image_hw[1] * scale)) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("image_hw", "resize_px", "size_hw", "scaled_hw", "offset_yx"),
    [
        pytest.param((1, 1), 8, (4, 4), (8, 8), (-2, -2), id="one_pixel"),
        pytest.param((375, 500), 146, (128, 128), (146, 194), (-9, -33), id="landscape"),
        pytest.param((500, 375), 256, (224, 224), (341, 256), (-58, -16), id="portrait_truncates_and_rounds_to_even"),
        pytest.param((10, 13), 10, (10, 10), (10, 13), (0, -2), id="half_to_even_up"),
        pytest.param((10, 15), 10, (10, 10), (10, 15), (0, -2), id="half_to_even_down"),
        pytest.param((10, 20), 4, (7, 7), (4, 8), (1, 0), id="smaller_than_crop"),
        pytest.param((10, 20), None, (6, 4), (6, 12), (0, -4), id="default_covers_the_crop"),
    ],
)
def test_shortest_side_crop(
    image_hw: tuple[int, int],
    resize_px: int | None,
    size_hw: tuple[int, int],
    scaled_hw: tuple[int, int],
    offset_yx: tuple[int, int],
) -> None:
    placement = plan_fit(image_hw, fit="shortest_side_crop", size_hw=size_hw, resize_px=resize_px)
    assert (placement.scaled_hw, placement.offset_yx) == (scaled_hw, offset_yx)
    assert placement.canvas_hw == size_hw


@given(image_hw=IMAGES, size_hw=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_crop_without_resize_px_never_pads(image_hw: tuple[int, int], size_hw: tuple[int, int]) -> None:
    placement = plan_fit(image_hw, fit="shortest_side_crop", size_hw=size_hw)
    assert all(offset <= 0 for offset in placement.offset_yx)
    assert all(np.add(placement.offset_yx, placement.scaled_hw) >= size_hw)


@given(image_hw=IMAGES, multiple_px=st.integers(1, 64))
def test_native_pads_at_the_right_and_below_to_the_next_multiple(image_hw: tuple[int, int], multiple_px: int) -> None:
    placement = plan_fit(image_hw, fit="native", multiple_px=multiple_px)
    assert placement.scaled_hw == image_hw
    assert placement.offset_yx == (0, 0)
    for side, canvas in zip(image_hw, placement.canvas_hw, strict=True):
        assert canvas % multiple_px == 0
        assert 0 <= canvas - side < multiple_px


@pytest.mark.parametrize("fit", ["native", "tile"])
def test_resize_px_scales_before_padding_or_tiling(fit: str) -> None:
    placement = plan_fit((960, 999), fit=fit, size_hw=(256, 256), resize_px=543, multiple_px=4, overlap_px=32)
    assert placement.scaled_hw == (543, 565)
    assert placement.canvas_hw == ((544, 568) if fit == "native" else (543, 565))


@pytest.mark.parametrize(
    ("longest_px", "multiple_px", "scaled_hw"),
    [
        pytest.param(None, 1, (100, 250), id="no-limit"),
        pytest.param(250, 1, (100, 250), id="just-fits"),
        pytest.param(125, 1, (50, 125), id="halved"),
        pytest.param(None, 16, (96, 240), id="multiple"),
        pytest.param(125, 16, (48, 112), id="both"),
        pytest.param(125, 64, (64, 64), id="at-least-one-multiple"),
    ],
)
def test_native_scales_to_a_longest_side_and_to_multiples(
    longest_px: int | None, multiple_px: int, scaled_hw: tuple[int, int]
) -> None:
    options = {"longest_px": longest_px, "scaled_multiple_px": multiple_px}
    placement = plan_fit((200, 500), fit="native", resize_px=100, **options)  # type: ignore[arg-type]
    assert (placement.scaled_hw, placement.canvas_hw) == (scaled_hw, scaled_hw)


@pytest.mark.parametrize(
    ("rounding", "offset_yx"),
    [pytest.param("half_even", (-2, -4), id="half_even"), pytest.param("floor", (-1, -3), id="floor")],
)
def test_stretch_cuts_the_centre_of_a_larger_size(rounding: str, offset_yx: tuple[int, int]) -> None:
    placement = plan_fit((50, 80), fit="stretch", size_hw=(20, 30), resize_hw=(23, 37), crop_rounding=rounding)  # type: ignore[arg-type]
    assert (placement.scaled_hw, placement.canvas_hw, placement.offset_yx) == ((23, 37), (20, 30), offset_yx)


def test_stretch_fills_the_input() -> None:
    placement = plan_fit((3, 1000), fit="stretch", size_hw=(64, 32))
    assert placement.scaled_hw == placement.canvas_hw == (64, 32)
    assert placement.offset_yx == (0, 0)


@given(length=st.integers(1, 5000), tile=st.integers(1, 512), data=st.data())
def test_tiles_cover_every_pixel_with_the_fewest_tiles(length: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile // 2))
    canvas = max(length, tile)
    starts = tile_starts(canvas, tile=tile, num_tiles=count_tiles(canvas, tile=tile, overlap=overlap))
    assert starts[0] == 0
    assert starts[-1] == canvas - tile
    steps = np.diff(starts)
    assert np.all(steps > 0)
    assert np.all(tile - steps >= overlap)
    assert np.ptp(steps) <= 1 if steps.size else True
    one_less = len(starts) - 1
    assert one_less * tile - max(0, one_less - 1) * overlap < canvas


@pytest.mark.parametrize(
    ("image_hw", "overlap_px", "canvas_hw", "num_tiles"),
    [
        pytest.param((1, 1), 0, (64, 48), 1, id="one_pixel"),
        pytest.param((64, 48), 24, (64, 48), 1, id="exactly_one"),
        pytest.param((65, 48), 0, (65, 48), 2, id="one_row_more"),
        pytest.param((128, 96), 0, (128, 96), 4, id="no_overlap"),
        pytest.param((128, 96), 16, (128, 96), 9, id="overlap"),
        pytest.param((30, 480), 0, (64, 480), 10, id="flat_image_is_padded"),
    ],
)
def test_tile_grid(image_hw: tuple[int, int], overlap_px: int, canvas_hw: tuple[int, int], num_tiles: int) -> None:
    placement = plan_fit(image_hw, fit="tile", size_hw=(64, 48), overlap_px=overlap_px)
    assert (placement.canvas_hw, placement.num_tiles) == (canvas_hw, num_tiles)
    covered = np.zeros(canvas_hw, bool)
    for top, left in placement.tile_origins_yx:
        covered[top : top + 64, left : left + 48] = True
    assert covered.all()


def test_a_line_that_would_explode_is_refused_before_allocation() -> None:
    placement = plan_fit((1, 5000), fit="shortest_side_crop", size_hw=(224, 224), resize_px=256)
    assert placement.scaled_hw == (256, 1_280_000)
    with pytest.raises(TooLargeError, match=r"at most 100000000, got 327680000 \(256 x 1280000 scaled") as caught:
        check_fit_limit(placement, max_pixels=100_000_000)
    assert caught.value.status == "too_large"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"fit": "native", "multiple_px": 4096}, "a canvas of 4096 x 4096", id="canvas"),
        pytest.param({"fit": "tile", "size_hw": (64, 64), "overlap_px": 32}, "961 tiles of 64 x 64", id="tiles"),
        pytest.param({"fit": "stretch", "size_hw": (2000, 2000)}, "got 4000000", id="stretch"),
    ],
)
def test_limit_counts_whatever_is_largest(options: dict[str, object], message: str) -> None:
    placement = plan_fit((1000, 1000), **options)
    with pytest.raises(TooLargeError, match=message):
        check_fit_limit(placement, max_pixels=1_100_000)


def test_limit_is_inclusive() -> None:
    placement = plan_fit((10, 20), fit="native")
    check_fit_limit(placement, max_pixels=200)
    with pytest.raises(TooLargeError):
        check_fit_limit(placement, max_pixels=199)


@pytest.mark.parametrize("image_hw", [(30_000, 30_000), (1, 10**15)], ids=["square", "line"])
def test_a_grid_of_too_many_tiles_is_refused_while_planning(image_hw: tuple[int, int]) -> None:
    with pytest.raises(TooLargeError, match=f"at most {MAX_TILES}"):
        plan_fit(image_hw, fit="tile", size_hw=(32, 32), overlap_px=16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"fit": "zoom", "size_hw": (8, 8)}, "fit must be letterbox", id="unknown_fit"),
        pytest.param({"fit": "letterbox"}, "size_hw must be two sizes", id="no_size"),
        pytest.param({"fit": "stretch", "size_hw": (0, 8)}, "size_hw must be two sizes", id="empty_size"),
        pytest.param({"fit": "native", "multiple_px": 0}, "multiple_px must be at least 1", id="multiple"),
        pytest.param({"fit": "native", "resize_px": 0}, "resize_px must be at least 1", id="resize"),
        pytest.param(
            {"fit": "tile", "size_hw": (8, 6), "overlap_px": 4}, "overlap_px must be 0 to 3", id="overlap_over_half"
        ),
        pytest.param(
            {"fit": "tile", "size_hw": (8, 6), "overlap_px": -1}, "overlap_px must be 0 to 3", id="negative_overlap"
        ),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_fit((10, 10), **options)


def test_an_empty_image_is_refused() -> None:
    with pytest.raises(ShapeError, match="image_hw must be at least 1 x 1"):
        plan_fit((0, 10), fit="letterbox", size_hw=(8, 8))
