from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.morphology import remove_small_holes

from inference_core.errors import ConfigError
from inference_core.postprocess.holes import fill_class_holes

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=14)
BINARY = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1))
MASKS = hnp.arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 1, 2, 255]))


def filled(mask: np.ndarray, **options: Any) -> np.ndarray:
    return fill_class_holes(mask, **options)[0]


@settings(deadline=None)
@given(mask=BINARY)
def test_binary_holes_are_scipys(mask: np.ndarray) -> None:
    mask.setflags(write=False)
    found, counts = fill_class_holes(mask)
    expected = ndimage.binary_fill_holes(mask)
    assert np.array_equal(found, expected)
    num_holes = ndimage.label(expected & (mask == 0))[1]
    assert counts == ({1: num_holes} if num_holes else {})


@settings(deadline=None)
@given(mask=MASKS, background=st.sampled_from([0, 2]))
def test_holes_of_classes_are_scipys_where_there_is_background(mask: np.ndarray, background: int) -> None:
    expected = mask.copy()
    for class_id in sorted(set(np.unique(mask).tolist()) - {background}):
        expected[ndimage.binary_fill_holes(mask == class_id) & (expected == background)] = class_id
    assert np.array_equal(filled(mask, background=background), expected)


@settings(deadline=None)
@given(mask=BINARY, max_hole_px=st.integers(1, 12))
def test_small_holes_are_skimages(mask: np.ndarray, max_hole_px: int) -> None:
    # scikit-image takes small background at the border for holes, too: a frame of background keeps it large.
    framed = np.pad(mask, 4)
    expected = remove_small_holes(framed > 0, max_size=max_hole_px, connectivity=1)
    assert np.array_equal(filled(framed, max_hole_px=max_hole_px), expected)


@settings(deadline=None)
@given(mask=MASKS, chosen=st.sets(st.sampled_from([1, 2, 255])))
def test_only_named_classes_grow(mask: np.ndarray, chosen: set[int]) -> None:
    found, counts = fill_class_holes(mask, class_ids=chosen)
    grown = found[found != mask]
    assert set(grown.tolist()) == set(counts) <= chosen


def test_other_classes_inside_a_hole_stay_and_count_in_its_area() -> None:
    mask = np.full((5, 5), 1, np.uint8)
    mask[1:4, 1:4] = 0
    mask[2, 2] = 2
    found, counts = fill_class_holes(mask, max_hole_px=9)
    assert found[2, 2] == 2
    assert (found == 1).sum() == 24
    assert counts == {1: 1}
    assert np.array_equal(filled(mask, max_hole_px=8), mask)


def test_a_hole_that_another_class_fills_is_none() -> None:
    mask = np.full((3, 3), 1, np.uint8)
    mask[1, 1] = 2
    found, counts = fill_class_holes(mask)
    assert np.array_equal(found, mask)
    assert counts == {}


@pytest.mark.parametrize(("outer", "inner"), [(1, 2), (2, 1)])
def test_a_hole_inside_two_rings_goes_to_the_lower_class(outer: int, inner: int) -> None:
    mask = np.full((7, 7), outer, np.uint8)
    mask[1:6, 1:6] = inner
    mask[2:5, 2:5] = 0
    found, counts = fill_class_holes(mask)
    assert np.all(found[2:5, 2:5] == 1)
    assert counts == {1: 1}


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)], ids=str)
def test_a_line_has_no_holes(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.uint8)
    mask.flat[0] = mask.flat[-1] = 1
    assert np.array_equal(filled(mask), mask)


def test_a_largest_hole_below_one_pixel_is_refused() -> None:
    with pytest.raises(ConfigError, match="fill_holes must be at least 1, got 0"):
        fill_class_holes(np.zeros((2, 2), np.uint8), max_hole_px=0)
