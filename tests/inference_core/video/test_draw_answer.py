from __future__ import annotations

import numpy as np
import pytest

from inference_core.records import Uint8Array
from inference_core.results import Result
from inference_core.video.draw_answer import draw_answer
from inference_core.visualize.palette import DEFAULT_PALETTE
from tests.drawn_results import classification, detection, multilabel, segmentation

PIXELS = np.full((240, 320, 3), 90, np.uint8)


def where_is(drawn: Uint8Array, class_id: int) -> set[int]:
    """Rows of the corner in which a field has exactly the colour of a class."""
    color = np.array(DEFAULT_PALETTE.class_color(class_id), np.uint8)
    return set(np.flatnonzero((drawn[:100, :24] == color).all(axis=2).sum(axis=1) >= 8).tolist())


def test_nothing_is_drawn_of_no_answer() -> None:
    assert draw_answer(PIXELS, None) is PIXELS


def test_classes_of_a_mask_are_named_with_their_colours_in_the_order_of_their_ids() -> None:
    mask = np.zeros((240, 320), np.uint8)
    mask[120:], mask[120:123] = 1, 3
    drawn = draw_answer(PIXELS, segmentation(mask, num_classes=4))
    assert drawn.shape == PIXELS.shape
    road, tree = where_is(drawn, 1), where_is(drawn, 3)
    assert road
    assert tree
    assert max(road) < min(tree)
    assert not where_is(drawn, 2)  # there is none
    more = mask.copy()
    more[120:200] = 3  # now more trees than roads
    assert where_is(draw_answer(PIXELS, segmentation(more, num_classes=4)), 1) == road


def test_a_mask_of_background_or_specks_has_no_names() -> None:
    mask = np.zeros((240, 320), np.uint8)
    np.testing.assert_array_equal(draw_answer(PIXELS, segmentation(mask, num_classes=4)), PIXELS)
    mask[200, 300] = 2
    drawn = draw_answer(PIXELS, segmentation(mask, num_classes=4))
    np.testing.assert_array_equal(drawn[:100, :200], PIXELS[:100, :200])


@pytest.mark.parametrize("image_hw", [(1, 1), (8, 8), (24, 2000)])
def test_pictures_without_room_stay_readable(image_hw: tuple[int, int]) -> None:
    pixels = np.full((*image_hw, 3), 90, np.uint8)
    mask = np.ones(image_hw, np.uint8)
    results: list[Result] = [
        segmentation(mask),
        classification(0.75, 0.25, labels=("a", "<script>")),
        multilabel(0.75, 0.25, num_shown=2),
        detection((0, 0, 1, 1), labels=("a very long name " * 9,)),
    ]
    for result in results:
        assert draw_answer(pixels, result).shape == pixels.shape
