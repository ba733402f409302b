from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.pipeline import blank_hw
from serve.errors import InvalidRequestError
from serve.prepared_tiles import blank_item, check_tiles, tiles_item
from tests.specs import input_spec


@pytest.mark.parametrize(
    ("tiles", "fit", "message"),
    [
        (np.zeros((1, 8, 8, 3), np.float32), {}, "must be .* uint8, got float32"),
        (np.zeros((8, 8, 3), np.uint8), {}, r"got uint8\[8, 8, 3\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), {}, "one for each image, got 0"),
        (np.zeros((2, 8, 8, 3), np.uint8), {}, "one for each image, got 2"),
        (np.zeros((1, 8, 8, 1), np.uint8), {}, "must have 3 channels"),
        (np.zeros((1, 8, 9, 3), np.uint8), {}, "must be 8 x 8 pixels, got 8 x 9"),
        (np.zeros((1, 8, 12, 3), np.uint8), {"fit": "native", "size_hw": None, "multiple_px": 8}, "multiples of 8"),
        (np.zeros((1, 0, 8, 3), np.uint8), {"fit": "native", "size_hw": None, "multiple_px": 8}, "multiples of 8"),
        (np.zeros((1, 80, 80, 3), np.uint8), {"fit": "native", "size_hw": None, "multiple_px": 8}, "at most 4096 pix"),
    ],
    ids=["float", "no axis of tiles", "none", "two", "gray", "size", "multiple", "empty", "pixels"],
)
def test_refuses_what_prepare_could_not_have_made(tiles: Any, fit: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        check_tiles(tiles, input_spec(fit), max_pixels=4096)


def test_a_tile_is_its_own_image() -> None:
    tiles = np.zeros((1, 8, 8, 3), np.uint8)
    check_tiles(tiles, input_spec(), max_pixels=64)
    item = tiles_item(tiles, image_id="a")
    assert item.prepared is not None
    placement = item.prepared.placement
    assert placement.image_hw == placement.canvas_hw == placement.tile_hw == item.source.image_hw == (8, 8)


def test_the_blank_item_is_one_that_the_model_takes() -> None:
    spec = input_spec({"color": "gray"})
    item = blank_item([spec])
    assert item.prepared is not None
    assert item.others == ()
    check_tiles(item.prepared.tiles, spec, max_pixels=10**6)
    assert item.prepared.placement.tile_hw == blank_hw(spec)
