from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.measure import label
from skimage.segmentation import clear_border

from inference_core.errors import ConfigError, ShapeError
from inference_core.postprocess.components import (
    Rule,
    at_border,
    beyond_largest,
    larger_than,
    remove_components,
    smaller_than,
)

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2]))
BACKGROUNDS = st.sampled_from([0, 2, 9])


def kept(mask: np.ndarray, rule: Rule, **options: Any) -> np.ndarray:
    return remove_components(mask, rule=rule, **options)[0]


def by_area(mask: np.ndarray, is_removed: Any, *, background: int) -> tuple[np.ndarray, dict[int, int]]:
    """The same by SciPy, one component after another."""
    expected, counts = mask.copy(), {}
    for class_id in sorted(set(np.unique(mask).tolist()) - {background}):
        labels, num = ndimage.label(mask == class_id, structure=np.ones((3, 3)))
        areas = [int((labels == index + 1).sum()) for index in range(num)]
        gone = [index for index in range(num) if is_removed(areas, index)]
        for index in gone:
            expected[labels == index + 1] = background
        counts |= {class_id: len(gone)} if gone else {}
    return expected, counts


@settings(deadline=None)
@given(mask=MASKS, area_px=st.integers(1, 20), background=BACKGROUNDS)
def test_areas_are_scipys(mask: np.ndarray, area_px: int, background: int) -> None:
    mask.setflags(write=False)
    for rule, is_removed in (
        (smaller_than(area_px), lambda areas, index: areas[index] < area_px),
        (larger_than(area_px), lambda areas, index: areas[index] > area_px),
    ):
        found, counts = remove_components(mask, rule=rule, background=background)
        expected, expected_counts = by_area(mask, is_removed, background=background)
        assert np.array_equal(found, expected)
        assert counts == expected_counts


@settings(deadline=None)
@given(mask=MASKS, count=st.integers(1, 4), background=BACKGROUNDS)
def test_the_largest_are_scipys_whose_labels_are_in_raster_order(mask: np.ndarray, count: int, background: int) -> None:
    def is_removed(areas: list[int], index: int) -> bool:
        return sorted(range(len(areas)), key=lambda other: (-areas[other], other)).index(index) >= count

    found = remove_components(mask, rule=beyond_largest(count), background=background)
    expected, counts = by_area(mask, is_removed, background=background)
    assert np.array_equal(found[0], expected)
    assert found[1] == counts


@settings(deadline=None)
@given(mask=MASKS)
def test_the_border_is_cleared_as_skimage_does(mask: np.ndarray) -> None:
    expected = np.zeros_like(mask)
    for class_id in (1, 2):
        expected[clear_border(label(mask == class_id, connectivity=2)) > 0] = class_id
    assert np.array_equal(kept(mask, at_border), expected)


@settings(deadline=None)
@given(
    mask=MASKS, chosen=st.sets(st.integers(0, 3)), rule=st.sampled_from([smaller_than(3), larger_than(2), at_border])
)
def test_other_classes_than_the_named_ones_stay(mask: np.ndarray, chosen: set[int], rule: Rule) -> None:
    found, counts = remove_components(mask, rule=rule, class_ids=chosen)
    everywhere, all_counts = remove_components(mask, rule=rule)
    is_chosen = np.isin(mask, list(chosen - {0}))
    assert np.array_equal(found, np.where(is_chosen, everywhere, mask))
    assert counts == {class_id: count for class_id, count in all_counts.items() if class_id in chosen}


def test_diagonal_neighbours_are_one_component() -> None:
    mask = np.eye(4, dtype=np.uint8)
    assert np.array_equal(kept(mask, smaller_than(4)), mask)
    assert not kept(mask, smaller_than(5)).any()


def test_touching_classes_are_two_components() -> None:
    mask = np.array([[1, 1, 1, 2]], np.uint8)
    assert kept(mask, smaller_than(2)).tolist() == [[1, 1, 1, 0]]


def test_the_background_is_never_removed() -> None:
    mask = np.array([[3, 3, 0, 3, 3]], np.uint8)
    assert np.array_equal(kept(mask, smaller_than(2), background=0), mask)
    assert kept(mask, smaller_than(2), background=3).tolist() == [[3, 3, 3, 3, 3]]


def test_of_equally_large_components_the_first_stays() -> None:
    mask = np.array([[0, 1, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]], np.uint8)
    assert kept(mask, beyond_largest(1)).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert kept(mask, beyond_largest(2))[0, 3] == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (5, 6)], ids=str)
@pytest.mark.parametrize("rule", [smaller_than(1), larger_than(10**6), beyond_largest(1)])
def test_an_empty_and_a_full_mask_stay(shape: tuple[int, int], rule: Rule) -> None:
    for mask in (np.zeros(shape, np.uint8), np.ones(shape, np.uint8)):
        found, counts = remove_components(mask, rule=rule)
        assert np.array_equal(found, mask)
        assert not counts


def test_a_component_that_ends_one_pixel_before_the_edge_stays() -> None:
    mask = np.zeros((5, 6), np.uint8)
    mask[1:4, 1:5] = 1
    assert np.array_equal(kept(mask, at_border), mask)
    for row, column in ((0, 1), (4, 1), (1, 0), (1, 5)):
        reaching = mask.copy()
        reaching[row, column] = 1
        assert not kept(reaching, at_border).any()


@pytest.mark.parametrize(
    ("build", "name"), [(smaller_than, "min_area_px"), (larger_than, "max_area_px"), (beyond_largest, "keep_largest")]
)
def test_impossible_values_are_refused(build: Any, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        build(0)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ShapeError, match="mask must be a 2-D uint8 array"):
        kept(np.zeros((2, 2), np.int32), at_border)
    with pytest.raises(ShapeError, match=r"mask must be \(H, W\)"):
        kept(np.zeros((0, 2), np.uint8), at_border)
