from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from inference_core.errors import ShapeError
from inference_core.run_length import (
    decode_mask,
    encode_mask,
    encode_window,
    read_counts,
    write_counts,
)

# pycocotools reads NumPy's arrays in a way that NumPy 2 warns of.
reads_with_coco = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

sides = st.integers(1, 40)
masks = st.tuples(sides, sides).flatmap(lambda shape: arrays(np.bool_, shape))


def coco_counts(mask: Any) -> str:
    encoded: bytes = coco.encode(np.asfortranarray(mask, np.uint8))["counts"]
    return encoded.decode()


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        pytest.param([[0]], "1", id="one-pixel-empty"),
        pytest.param([[1]], "01", id="one-pixel-full"),
        pytest.param([[1, 1], [1, 1]], "04", id="all"),
        pytest.param([[0, 0], [0, 1]], "31", id="last"),
        pytest.param([[1, 0], [0, 0]], "013", id="first"),
        pytest.param([[0, 1], [1, 0]], "121", id="goes-on-in-the-next-column"),
    ],
)
def test_small_masks(rows: list[list[int]], counts: str) -> None:
    mask = np.array(rows, np.bool_)
    assert encode_mask(mask) == counts == coco_counts(mask)
    assert decode_mask(counts, image_hw=(mask.shape[0], mask.shape[1])).tolist() == mask.tolist()


@reads_with_coco
@given(mask=masks)
@settings(max_examples=300, deadline=None)
def test_counts_are_those_of_coco(mask: Any) -> None:
    counts = encode_mask(mask)
    assert counts == coco_counts(mask)
    np.testing.assert_array_equal(decode_mask(counts, image_hw=mask.shape), mask)
    theirs = {"size": list(mask.shape), "counts": counts}
    np.testing.assert_array_equal(coco.decode(theirs), mask)
    assert coco.area(theirs) == np.count_nonzero(mask)


@given(
    window=masks, above=st.integers(0, 9), before=st.integers(0, 9), below=st.integers(0, 9), after=st.integers(0, 9)
)
@settings(max_examples=200, deadline=None)
def test_a_window_is_the_mask_that_is_empty_around_it(
    window: Any, above: int, before: int, below: int, after: int
) -> None:
    whole = np.pad(window, ((above, below), (before, after)))
    assert encode_window(window, top_left_yx=(above, before), image_hw=whole.shape) == coco_counts(whole)
    ys, xs = np.nonzero(whole)
    box = coco.toBbox({"size": list(whole.shape), "counts": coco_counts(whole)}).tolist()
    if len(ys):
        assert box == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]


@given(lengths=st.lists(st.integers(0, 2**40), min_size=1, max_size=60))
@settings(max_examples=200, deadline=None)
def test_counts_of_any_size_come_back(lengths: list[int]) -> None:
    assert read_counts(write_counts(np.array(lengths, np.int64))).tolist() == lengths


def test_an_empty_window_is_an_empty_mask() -> None:
    assert encode_window(np.zeros((0, 0), np.bool_), top_left_yx=(3, 2), image_hw=(5, 4)) == "d0"
    assert not decode_mask("d0", image_hw=(5, 4)).any()


@pytest.mark.parametrize("top_left", [(-1, 0), (0, -1), (3, 0), (0, 2)])
def test_a_window_beyond_the_image_is_refused(top_left: tuple[int, int]) -> None:
    with pytest.raises(ShapeError, match="window must lie within 5 x 4 pixels, got 3 x 3 at"):
        encode_window(np.ones((3, 3), np.bool_), top_left_yx=top_left, image_hw=(5, 4))


@pytest.mark.parametrize("counts", ["", "\x00", "p", "P", "P" * 40 + "1", "é"], ids=repr)
def test_damaged_counts_are_refused(counts: str) -> None:
    with pytest.raises(ShapeError, match="counts must be compressed run lengths"):
        decode_mask(counts, image_hw=(2, 2))


@pytest.mark.parametrize(("counts", "found"), [("04", 4), ("1", 1)])
def test_counts_of_another_size_are_refused(counts: str, found: int) -> None:
    with pytest.raises(ShapeError, match=f"counts must sum to 6 pixels, got {found}"):
        decode_mask(counts, image_hw=(2, 3))


def test_counts_that_run_backwards_are_refused() -> None:
    with pytest.raises(ShapeError, match="counts must be compressed"):
        decode_mask(write_counts(np.array([3, -1, 2], np.int64)), image_hw=(2, 2))
