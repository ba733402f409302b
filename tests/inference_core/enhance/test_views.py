from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import map_coordinates

from inference_core.enhance.views import apply_view, boxes_back, candidates_back, planes_back, turn, turn_back, view_hw
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.instance_masks import MaskPart, place_mask
from inference_core.view_spec import View, parse_view
from tests.arrays import LIBRARIES, array_of, numpy_of

TURNS = [View(is_mirrored=mirrored, quarter_turns=turns) for mirrored in (False, True) for turns in range(4)]
each_turn = pytest.mark.parametrize("view", TURNS, ids=lambda view: f"{'m' * view.is_mirrored}{view.quarter_turns}")
each_library = pytest.mark.parametrize("library", LIBRARIES)
sides = st.integers(1, 7)


def pixels_of(array: Any, *, library: str) -> Any:
    """uint8 pixels of a library, read-only where it can be."""
    if library == "torch":
        return torch.from_numpy(array.copy())
    array.setflags(write=False)
    return array


@each_library
@each_turn
@given(data=st.data())
def test_what_is_turned_and_turned_back_is_as_it_was(view: View, library: str, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 3), sides, sides, st.sampled_from([1, 3])))
    pixels = pixels_of(data.draw(arrays(np.uint8, shape)), library=library)
    seen = apply_view(view, pixels, multiple_px=1)
    assert tuple(seen.shape[1:3]) == view_hw(view, shape[1:3], multiple_px=1)
    np.testing.assert_array_equal(numpy_of(turn_back(seen, view, axes=(1, 2))), numpy_of(pixels))


@each_turn
def test_the_eight_views_differ(view: View) -> None:
    pixels = np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)
    seen = [apply_view(other, pixels, multiple_px=1).tobytes() for other in TURNS]
    assert seen.count(apply_view(view, pixels, multiple_px=1).tobytes()) == 1


@each_library
@each_turn
@given(data=st.data())
def test_planes_come_back_over_the_pixels_that_they_were_made_of(view: View, library: str, data: st.DataObject) -> None:
    height, width = data.draw(st.tuples(sides, sides))
    planes = array_of(
        data.draw(arrays(np.float32, (2, 3, height, width), elements=st.floats(0, 1, width=32))), library=library
    )
    seen = turn(planes, view, axes=(2, 3))
    np.testing.assert_array_equal(numpy_of(planes_back(view, seen, tile_hw=(height, width))), numpy_of(planes))


@each_library
@pytest.mark.parametrize("scale", [1.0, 0.5, 1.25])
@each_turn
@given(data=st.data())
def test_boxes_come_back_around_what_they_were_found_around(
    view: View, scale: float, library: str, data: st.DataObject
) -> None:
    height, width = data.draw(st.tuples(st.integers(2, 9), st.integers(2, 9)))
    y_min, x_min = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    y_max, x_max = data.draw(st.integers(y_min + 1, height)), data.draw(st.integers(x_min + 1, width))
    marked = np.zeros((1, height, width, 1), np.uint8)
    marked[:, y_min:y_max, x_min:x_max] = 1
    rows, columns = np.nonzero(apply_view(view, marked, multiple_px=1)[0, ..., 0])
    found = np.float32([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    scaled = View(is_mirrored=view.is_mirrored, quarter_turns=view.quarter_turns, scale=scale)
    turned, seen = (view_hw(one, (height, width), multiple_px=1) for one in (view, scaled))
    found *= np.float32([seen[1] / turned[1], seen[0] / turned[0]] * 2)  # as the scaled view shows it
    back = boxes_back(scaled, array_of([[found]], library=library), tile_hw=(height, width), multiple_px=1)
    np.testing.assert_allclose(numpy_of(back), [[[x_min, y_min, x_max, y_max]]], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "multiple_px", "expected"),
    [
        pytest.param("scale:1.25", 1, (40, 60), id="free"),
        pytest.param("scale:1.25", 32, (32, 64), id="to the nearest multiple"),
        pytest.param("scale:0.25", 32, (32, 32), id="one at least"),
        pytest.param("rot90*scale:0.5", 8, (24, 16), id="after the turn"),
        pytest.param("rot90", 32, (48, 32), id="no scale, no multiple"),
    ],
)
def test_sizes_of_views(name: str, multiple_px: int, expected: tuple[int, int]) -> None:
    view = parse_view(name)
    assert view_hw(view, (32, 48), multiple_px=multiple_px) == expected
    pixels = np.zeros((2, 32, 48, 3), np.uint8)
    assert apply_view(view, pixels, multiple_px=multiple_px).shape == (2, *expected, 3)


@each_library
@given(arrays(np.uint8, (1, 8, 12, 3)), st.sampled_from(["scale:0.5", "scale:1.5", "hflip*scale:1.25"]))
def test_scaling_is_the_same_for_every_library_and_keeps_flat_colours(
    library: str, pixels: np.ndarray[Any, Any], name: str
) -> None:
    scaled = apply_view(parse_view(name), pixels_of(pixels, library=library), multiple_px=1)
    other = apply_view(parse_view(name), pixels_of(pixels, library="numpy"), multiple_px=1)
    np.testing.assert_array_equal(numpy_of(scaled), other)
    flat = np.broadcast_to(pixels[:, :1, :1], pixels.shape)
    assert (apply_view(parse_view(name), flat, multiple_px=1) == flat[:, :1, :1]).all()


def test_planes_of_a_scaled_view_are_resampled() -> None:
    planes = np.broadcast_to(np.linspace(0, 1, 16, dtype=np.float32), (1, 1, 4, 16))
    back = planes_back(parse_view("scale:2"), planes, tile_hw=(2, 8))
    np.testing.assert_allclose(
        back[0, 0], np.broadcast_to((np.linspace(0, 1, 16)).reshape(8, 2).mean(axis=1), (2, 8)), atol=1e-6
    )


@each_library
@each_turn
@given(data=st.data())
def test_planes_of_a_scaled_and_turned_view_are_interpolated_as_scipy_does(
    view: View, library: str, data: st.DataObject
) -> None:
    """At the middles of the pixels, and turned back exactly: with a turn as without."""
    tile_hw = data.draw(st.tuples(st.integers(2, 9), st.integers(2, 9)))
    scaled = replace(view, scale=data.draw(st.sampled_from([0.5, 1.25, 1.5, 2.0])))
    height, width = view_hw(scaled, tile_hw, multiple_px=1)
    planes = data.draw(arrays(np.float32, (1, 2, height, width), elements=st.floats(0, 1, width=32)))
    back = numpy_of(planes_back(scaled, array_of(planes, library=library), tile_hw=tile_hw))
    rows, columns = view_hw(view, tile_hw, multiple_px=1)
    places = np.meshgrid(
        (np.arange(rows) + 0.5) * (height / rows) - 0.5,
        (np.arange(columns) + 0.5) * (width / columns) - 0.5,
        indexing="ij",
    )
    turned = np.stack([map_coordinates(plane, places, order=1, mode="nearest") for plane in planes[0]])[None]
    np.testing.assert_allclose(back, turn_back(turned, view, axes=(2, 3)), atol=1e-5)  # float32 places and shares


@each_turn
@given(data=st.data())
def test_even_planes_come_back_from_any_scale_as_they_were(view: View, data: st.DataObject) -> None:
    """What is the same everywhere knows no resampling: scores that sum to 1 still do."""
    tile_hw = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    scaled = replace(view, scale=data.draw(st.floats(0.25, 4)))
    scores = data.draw(arrays(np.float32, (2, 3), elements=st.floats(0, 1, width=32)))
    seen = np.broadcast_to(scores[:, :, None, None], (2, 3, *view_hw(scaled, tile_hw, multiple_px=1)))
    back = planes_back(scaled, seen, tile_hw=tile_hw)
    np.testing.assert_allclose(back, np.broadcast_to(scores[:, :, None, None], (2, 3, *tile_hw)), atol=1e-6)


@given(
    factors=st.lists(
        st.sampled_from(["hflip", "vflip", "rot90", "rot180", "rot270", "scale:0.5", "scale:1.25"]), max_size=4
    ),
    tile_hw=st.tuples(st.integers(4, 30), st.integers(4, 30)),
    multiple_px=st.sampled_from([1, 8]),
    corners=st.tuples(*[st.floats(0, 1, width=32)] * 4),
)
def test_boxes_of_a_named_product_come_back(
    factors: list[str], tile_hw: tuple[int, int], multiple_px: int, corners: tuple[float, ...]
) -> None:
    """Corner by corner through the factors as NumPy means them, and back by the view."""
    view = parse_view("*".join(["identity", *factors]))
    height, width = tile_hw
    x, y = np.sort(np.float64([[corners[0], corners[2]], [corners[1], corners[3]]]), axis=1) * [[width], [height]]
    box = np.float32([x[0], y[0], x[1], y[1]])
    sides = (float(height), float(width))
    for factor in factors:  # a corner (x, y) of an image of ``sides``
        if factor == "hflip":
            x = sides[1] - x
        elif factor == "vflip":
            y = sides[0] - y
        for _ in range({"rot90": 1, "rot180": 2, "rot270": 3}.get(factor, 0)):
            x, y, sides = y, sides[1] - x, sides[::-1]
    seen_hw = view_hw(view, tile_hw, multiple_px=multiple_px)
    x, y = np.sort(x) * seen_hw[1] / sides[1], np.sort(y) * seen_hw[0] / sides[0]
    back = boxes_back(view, np.float32([[x[0], y[0], x[1], y[1]]]), tile_hw=tile_hw, multiple_px=multiple_px)
    np.testing.assert_allclose(back[0], box, atol=2e-5)  # float32 of up to 120 pixels


@each_library
@each_turn
@given(data=st.data())
def test_instance_masks_come_back_over_the_pixels_that_they_were_made_of(
    view: View, library: str, data: st.DataObject
) -> None:
    """The mask of a turned object, turned back, is pixel by pixel that of the object."""
    height, width = data.draw(st.tuples(st.integers(4, 12), st.integers(4, 12)))
    grid = data.draw(arrays(np.uint8, (3, 3), elements=st.sampled_from([0, 255])))
    y_min, x_min = data.draw(st.integers(0, height - 4)), data.draw(st.integers(0, width - 4))
    window = np.float32([x_min, y_min, x_min + 3, y_min + 3])
    expected = place_mask([MaskPart(grid=grid, window_xyxy=window)], image_hw=(height, width), level=0.5).to_array()
    turned_hw = view_hw(view, (height, width), multiple_px=1)
    rows, columns = np.nonzero(turn(box_pixels(window, (height, width)), view, axes=(0, 1)))
    seen_window = np.float32([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    seen_grid = np.ascontiguousarray(turn(grid, view, axes=(0, 1)))
    found = Candidates(
        boxes_xyxy=array_of([[seen_window]], library=library),
        scores=array_of([[0.5]], library=library),
        class_ids=array_of([[0]], library=library),
        carried={
            "masks": pixels_of(seen_grid[None, None], library=library),
            "mask_windows": array_of([[seen_window]], library=library),
        },
    )
    seen = place_mask([MaskPart(grid=seen_grid, window_xyxy=seen_window)], image_hw=turned_hw, level=0.5).to_array()
    np.testing.assert_array_equal(turn(expected, view, axes=(0, 1)), seen)
    back = candidates_back(view, found, tile_hw=(height, width), multiple_px=1)
    part = MaskPart(
        grid=numpy_of(back.carried["masks"])[0, 0], window_xyxy=numpy_of(back.carried["mask_windows"])[0, 0]
    )
    np.testing.assert_array_equal(place_mask([part], image_hw=(height, width), level=0.5).to_array(), expected)


def box_pixels(box_xyxy: Any, image_hw: tuple[int, int]) -> Any:
    """(H, W) bool, the pixels of a box of whole pixels."""
    x_min, y_min, x_max, y_max = (int(value) for value in box_xyxy)
    pixels = np.zeros(image_hw, np.bool_)
    pixels[y_min:y_max, x_min:x_max] = True
    return pixels
