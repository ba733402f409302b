from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import ShapeError
from inference_core.records import Uint8Array
from inference_core.results import Detection, InstanceMask, Segmentation
from inference_core.run_length import encode_mask
from inference_core.visualize.lettering import ink_on
from inference_core.visualize.overlay import draw_overlay
from inference_core.visualize.palette import class_color, object_color

GRAY = np.full((60, 80, 3), 100, np.uint8)
GRAY.setflags(write=False)


def segmentation(mask: Uint8Array) -> Segmentation:
    counts = np.bincount(mask.ravel(), minlength=3)
    return Segmentation(
        mask=mask,
        scores=np.full_like(mask, 255),
        class_pixels=counts.astype(np.int64),
        class_scores=np.ones(len(counts), np.float32),
        labels=tuple("abc"),
    )


def detection(*boxes: tuple[float, float, float, float], masks: tuple[InstanceMask, ...] | None = None) -> Detection:
    return Detection(
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(len(boxes), 0.5, np.float32),
        class_ids=np.zeros(len(boxes), np.int32),
        labels=("cat\n",) * len(boxes),
        masks=masks,
    )


def test_the_background_stays_and_classes_are_tinted() -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[:, 40:] = 2
    drawn = draw_overlay(GRAY, segmentation(mask))
    assert (drawn[:, :40] == 100).all()
    expected = [(100 + channel) // 2 for channel in class_color(2)]
    assert (drawn[:, 40:] == expected).all()


@pytest.mark.parametrize("hw", [(1, 1), (1, 300), (3, 2)])
def test_small_and_narrow_images(hw: tuple[int, int]) -> None:
    pixels = np.zeros((*hw, 3), np.uint8)
    assert draw_overlay(pixels, detection((0, 0, hw[1], hw[0]))).shape == pixels.shape
    assert draw_overlay(pixels, segmentation(np.ones(hw, np.uint8))).shape == pixels.shape


def test_no_object_is_the_image_itself() -> None:
    assert (draw_overlay(GRAY, detection()) == GRAY).all()


def test_a_box_lies_on_its_own_pixels() -> None:
    drawn = draw_overlay(GRAY, detection((10, 30, 50, 55)))
    color = object_color(0)
    for y, x in ((30, 10), (30, 49), (54, 10), (54, 49), (54, 30)):
        assert tuple(drawn[y, x]) == color
    assert (drawn[32:53, 12:48] == 100).all()
    assert (drawn[56:] == 100).all()


def test_boxes_beyond_the_image_do_no_harm() -> None:
    assert draw_overlay(GRAY, detection((-500, -500, 900, 900), (79, 59, 80, 60))).shape == GRAY.shape


def test_masks_are_tinted_within_their_pixels() -> None:
    is_object = np.zeros((60, 80), bool)
    is_object[40:50, 20:30] = True
    mask = InstanceMask(size_hw=(60, 80), counts=encode_mask(is_object), area_px=100)
    drawn = draw_overlay(GRAY, detection((15, 35, 40, 58), masks=(mask,)))
    assert (drawn[42:48, 22:28] == [(100 + channel) // 2 for channel in object_color(0)]).all()
    assert (drawn[52:56, 32:38] == 100).all()


def test_the_same_twice() -> None:
    found = detection((10, 30, 50, 55), (5, 5, 20, 20))
    assert (draw_overlay(GRAY, found) == draw_overlay(GRAY, found)).all()


def test_text_is_dark_on_light_and_light_on_dark() -> None:
    assert ink_on((255, 255, 0)) == (0, 0, 0)
    assert ink_on((0, 0, 128)) == (255, 255, 255)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(ShapeError, match="pixels must be a 3-D uint8 array"):
        draw_overlay(np.zeros((2, 2), np.uint8), detection())
