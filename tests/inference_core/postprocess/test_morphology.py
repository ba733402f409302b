from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.morphology import closing as skimage_closing
from skimage.morphology import opening as skimage_opening

from inference_core.errors import ConfigError
from inference_core.postprocess.morphology import close_classes, disc, open_classes

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=14)
BINARY = hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 1))
MASKS = hnp.arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 1, 2, 255]))
DIAMETERS = st.sampled_from([1, 3, 5, 7])


def erode(mask: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return ndimage.binary_erosion(mask, kernel, border_value=1)  # outside does not count


def dilate(mask: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return ndimage.binary_dilation(mask, kernel, border_value=0)


@pytest.mark.parametrize(
    ("diameter_px", "rows"),
    [
        (1, ["1"]),
        (3, ["111", "111", "111"]),
        (5, ["01110", "11111", "11111", "11111", "01110"]),
    ],
)
def test_disc(diameter_px: int, rows: list[str]) -> None:
    assert ["".join(map(str, row)) for row in disc(diameter_px)] == rows


@settings(deadline=None)
@given(mask=BINARY, diameter_px=DIAMETERS)
def test_binary_opening_and_closing_are_scipys(mask: np.ndarray, diameter_px: int) -> None:
    mask.setflags(write=False)
    kernel = disc(diameter_px).astype(bool)
    assert np.array_equal(open_classes(mask, diameter_px=diameter_px), dilate(erode(mask, kernel), kernel))
    assert np.array_equal(close_classes(mask, diameter_px=diameter_px), erode(dilate(mask, kernel), kernel))


@settings(deadline=None)
@given(mask=MASKS, diameter_px=DIAMETERS, background=st.sampled_from([0, 2]))
def test_opening_only_removes_and_closing_only_fills(mask: np.ndarray, diameter_px: int, background: int) -> None:
    opened = open_classes(mask, diameter_px=diameter_px, background=background)
    assert np.all((opened == mask) | (opened == background))
    assert np.array_equal(open_classes(opened, diameter_px=diameter_px, background=background), opened)
    closed = close_classes(mask, diameter_px=diameter_px, background=background)
    assert np.all((closed == mask) | (mask == background))


def test_opening_removes_a_thin_line_and_keeps_a_block_of_each_class() -> None:
    mask = np.zeros((12, 12), np.uint8)
    mask[1:5, 1:5] = 1
    mask[6:11, 6:11] = 2
    lined = mask.copy()
    lined[0, :] = 2
    assert np.array_equal(open_classes(lined, diameter_px=3), mask)


def test_closing_joins_a_gap_and_the_lower_class_wins() -> None:
    mask = np.zeros((5, 11), np.uint8)
    mask[:, :5] = 2
    mask[:, 6:] = 2
    assert np.all(close_classes(mask, diameter_px=3) == 2)
    both = np.array([[2, 2, 0, 2, 1, 0, 1]], np.uint8)
    assert close_classes(both, diameter_px=3).tolist() == [[2, 2, 2, 2, 1, 1, 1]]
    claimed = np.array([[2, 1, 2], [2, 0, 2], [2, 1, 2]], np.uint8)
    assert close_classes(claimed, diameter_px=3)[1, 1] == 1


@settings(deadline=None)
@given(mask=MASKS, diameter_px=DIAMETERS, chosen=st.sets(st.sampled_from([1, 2, 255])))
def test_only_named_classes_change(mask: np.ndarray, diameter_px: int, chosen: set[int]) -> None:
    opened = open_classes(mask, diameter_px=diameter_px, class_ids=chosen)
    assert set(mask[opened != mask].tolist()) <= chosen
    closed = close_classes(mask, diameter_px=diameter_px, class_ids=chosen)
    assert set(closed[closed != mask].tolist()) <= chosen


@settings(deadline=None)
@given(mask=BINARY, diameter_px=DIAMETERS, before=st.integers(0, 9), behind=st.integers(0, 9))
def test_where_a_class_lies_in_its_image_is_seen_at_the_edge_alone(
    mask: np.ndarray, diameter_px: int, before: int, behind: int
) -> None:
    wide = np.pad(mask, ((before, behind), (behind, before)))
    kernel = disc(diameter_px).astype(bool)
    assert np.array_equal(open_classes(wide, diameter_px=diameter_px), dilate(erode(wide, kernel), kernel))
    assert np.array_equal(close_classes(wide, diameter_px=diameter_px), erode(dilate(wide, kernel), kernel))


def test_opening_is_skimages() -> None:
    mask = (np.random.default_rng(3).random((60, 70)) < 0.8).astype(np.uint8)
    for diameter_px in (3, 5, 9):
        footprint = disc(diameter_px)
        expected = skimage_opening(mask, footprint, mode="ignore")
        assert np.array_equal(open_classes(mask, diameter_px=diameter_px), expected)
        expected = skimage_closing(mask, footprint, mode="ignore")
        assert np.array_equal(close_classes(mask, diameter_px=diameter_px), expected)


@pytest.mark.parametrize("diameter_px", [0, -3, 2, 4])
def test_an_even_or_empty_disc_is_refused(diameter_px: int) -> None:
    mask = np.zeros((3, 3), np.uint8)
    with pytest.raises(ConfigError, match="diameter_px must be odd and at least 1"):
        open_classes(mask, diameter_px=diameter_px)
    with pytest.raises(ConfigError, match="diameter_px must be odd and at least 1"):
        close_classes(mask, diameter_px=diameter_px)
