from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from inference_core.errors import ConfigError, ShapeError
from inference_core.postprocess.components import remove_small_components

MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 2]))


@settings(deadline=None)
@given(mask=MASKS, min_area_px=st.integers(1, 20), background=st.sampled_from([0, 2, 9]))
def test_components_are_scipys(mask: np.ndarray, min_area_px: int, background: int) -> None:
    mask.setflags(write=False)
    expected = mask.copy()
    for class_id in set(np.unique(mask)) - {background}:
        labels, num = ndimage.label(mask == class_id, structure=np.ones((3, 3)))
        for index in range(1, num + 1):
            if (labels == index).sum() < min_area_px:
                expected[labels == index] = background
    assert np.array_equal(remove_small_components(mask, min_area_px=min_area_px, background=background), expected)


def test_diagonal_neighbours_are_one_component() -> None:
    mask = np.eye(4, dtype=np.uint8)
    assert np.array_equal(remove_small_components(mask, min_area_px=4), mask)
    assert not remove_small_components(mask, min_area_px=5).any()


def test_touching_classes_are_two_components() -> None:
    mask = np.array([[1, 1, 1, 2]], np.uint8)
    assert remove_small_components(mask, min_area_px=2).tolist() == [[1, 1, 1, 0]]


def test_the_background_is_never_removed() -> None:
    mask = np.array([[3, 3, 0, 3, 3]], np.uint8)
    assert np.array_equal(remove_small_components(mask, min_area_px=2, background=0), mask)
    assert remove_small_components(mask, min_area_px=2, background=3).tolist() == [[3, 3, 3, 3, 3]]


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="min_area_px must be at least 1"):
        remove_small_components(np.zeros((2, 2), np.uint8), min_area_px=0)
    with pytest.raises(ShapeError, match="mask must be a 2-D uint8 array"):
        remove_small_components(np.zeros((2, 2), np.int32), min_area_px=1)
    with pytest.raises(ShapeError, match=r"mask must be \(H, W\)"):
        remove_small_components(np.zeros((0, 2), np.uint8), min_area_px=1)
