from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco
from skimage.measure import grid_points_in_poly

from inference_core.export.outline import join_rings, outline
from inference_core.run_length import decode_mask

Mask = NDArray[np.bool_]
MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


def drawn(text: str) -> Mask:
    return np.array([[character == "#" for character in line] for line in text.split()])


def filled_by_coco(polygons: list[list[float]], image_hw: tuple[int, int]) -> Mask:
    """The union of polygons as pycocotools draws it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it reads NumPy's arrays in a way that NumPy 2 warns of
        runs = coco.merge(coco.frPyObjects(polygons, *image_hw))
    return decode_mask(runs["counts"].decode(), image_hw=image_hw)


def filled_by_crossings(points_xy: NDArray[np.int64], image_hw: tuple[int, int]) -> Mask:
    """The pixels whose centres lie in a line an odd number of times."""
    return np.asarray(grid_points_in_poly(image_hw, points_xy[:, ::-1] - 0.5), np.bool_)


@pytest.mark.parametrize(
    ("text", "num_rings", "num_holes"),
    [
        pytest.param(".", 0, 0, id="nothing"),
        pytest.param("#", 1, 0, id="one-pixel"),
        pytest.param("#. .#", 2, 0, id="touch-at-a-corner"),
        pytest.param(".# #.", 2, 0, id="touch-at-the-other-corner"),
        pytest.param("### #.# ###", 2, 1, id="a-hole"),
        pytest.param("#### #..# #.#. ####", 1, 0, id="a-hole-open-at-a-corner"),
        pytest.param("##### #...# #.#.# #...# #####", 3, 1, id="an-island-in-a-hole"),
    ],
)
def test_rings(text: str, num_rings: int, num_holes: int) -> None:
    rings = outline(drawn(text))
    assert (len(rings), sum(ring.is_hole for ring in rings)) == (num_rings, num_holes)


@given(MASKS)
def test_crossings_of_all_rings_give_the_mask_back(mask: Mask) -> None:
    found = np.zeros(mask.shape, np.bool_)
    for ring in outline(mask):
        found ^= filled_by_crossings(ring.points_xy, mask.shape)
    assert np.array_equal(found, mask)


@given(MASKS)
def test_coco_fills_rings_without_holes_to_the_pixel(mask: Mask) -> None:
    rings = outline(mask)
    if rings and not any(ring.is_hole for ring in rings):
        found = filled_by_coco([ring.points_xy.ravel().tolist() for ring in rings], mask.shape)
        assert np.array_equal(found, mask)


@given(MASKS)
def test_a_joined_line_gives_the_mask_back(mask: Mask) -> None:
    rings = outline(mask)
    if rings:
        assert np.array_equal(filled_by_crossings(join_rings(rings), mask.shape), mask)


@given(MASKS, st.tuples(st.integers(0, 50), st.integers(0, 50)))
def test_a_window_lies_where_it_is_said_to_lie(mask: Mask, top_left_xy: tuple[int, int]) -> None:
    for here, there in zip(outline(mask), outline(mask, top_left_xy=top_left_xy), strict=True):
        assert np.array_equal(here.points_xy + top_left_xy, there.points_xy)
        assert here.is_hole == there.is_hole
