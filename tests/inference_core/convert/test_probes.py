from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.convert.probes import MAX_PROBE_PIXELS, probe_batches, resized
from inference_core.images import Limits
from inference_core.items import PreparedItem
from inference_core.preparer import Preparer
from tests.specs import input_spec

NATIVE = {"fit": "native", "size_hw": None, "multiple_px": 8}


def prepared(options: dict[str, Any], *sizes_hw: tuple[int, int]) -> list[PreparedItem]:
    preparer = Preparer(input_spec(options), limits=Limits())
    random = np.random.default_rng(0)
    return [
        preparer.prepare(random.integers(0, 256, (*size_hw, 3), dtype=np.uint8), image_id=str(index))
        for index, size_hw in enumerate(sizes_hw)
    ]


@pytest.mark.parametrize(
    ("options", "sizes_hw", "shapes"),
    [
        pytest.param({}, [(20, 30)], [(1, 8, 8), (4, 8, 8)], id="a fixed size"),
        pytest.param(
            NATIVE,
            [(16, 24)],
            [(1, 16, 24), (4, 16, 24), (1, 8, 40), (4, 8, 40)],
            id="a free size, one image: a second size is made of it",
        ),
        pytest.param(
            NATIVE,
            [(16, 24), (8, 8), (64, 64)],
            [(1, 16, 24), (4, 16, 24), (1, 64, 64), (4, 64, 64)],
            id="a free size, several images: the largest other one",
        ),
        pytest.param({"fit": "tile", "size_hw": [8, 8]}, [(16, 24)], [(1, 8, 8), (4, 8, 8)], id="tiles of one image"),
    ],
)
def test_one_and_many_of_each_size(
    options: dict[str, Any], sizes_hw: list[tuple[int, int]], shapes: list[tuple[int, int, int]]
) -> None:
    batches = probe_batches(prepared(options, *sizes_hw), input_spec(options), batch_size=4)
    assert [batch.shape for batch in batches] == [(*shape, 3) for shape in shapes]


def test_batches_hold_different_images() -> None:
    items = prepared({}, (20, 30), (20, 30), (20, 30))
    *_, many = probe_batches(items, input_spec({}), batch_size=4)
    tiles = [item.prepared.tiles[0] for item in items if item.prepared]
    np.testing.assert_array_equal(many, np.stack([*tiles, tiles[0]]))


def test_large_images_make_small_batches() -> None:
    side_px = 1536
    items = prepared({"size_hw": [side_px, side_px]}, (8, 8))
    one, many = probe_batches(items, input_spec({"size_hw": [side_px, side_px]}), batch_size=16)
    assert (len(one), len(many)) == (1, 2)
    assert MAX_PROBE_PIXELS // side_px**2 < 2


@pytest.mark.parametrize(
    ("hw", "other_hw"),
    [((8, 8), (8, 24)), ((16, 8), (8, 24)), ((64, 40), (56, 56))],
    ids=["least", "two steps", "more"],
)
def test_another_size_is_made_of_the_image(hw: tuple[int, int], other_hw: tuple[int, int]) -> None:
    tile = np.arange(hw[0] * hw[1] * 3, dtype=np.uint8).reshape(*hw, 3)
    other = resized(tile, multiple_px=8)
    assert other.shape[:2] == other_hw
    np.testing.assert_array_equal(other[:, : hw[1]], tile[: other_hw[0]])
