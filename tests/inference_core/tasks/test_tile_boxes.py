from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.detection_spec import NmsSpec
from inference_core.prepare import plan_fit
from inference_core.records import Placement
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.instance_masks import MaskPart
from inference_core.tasks.nms import suppress
from inference_core.tasks.tile_boxes import TileBoxes, compete, join_tile_boxes, tile_views, touches_inner_edge

# 100 x 260 in three tiles of 100: columns 0 to 100, 80 to 180 and 160 to 260.
ROW = plan_fit((100, 260), fit="tile", size_hw=(100, 100), overlap_px=20)
GRID = plan_fit((180, 180), fit="tile", size_hw=(100, 100), overlap_px=20)


def boxes_of(found: list[tuple[list[float], float, int]]) -> TileBoxes:
    return TileBoxes(
        boxes_xyxy=np.array([box for box, _, _ in found], np.float32).reshape(-1, 4),
        scores=np.array([score for _, score, _ in found], np.float32),
        class_ids=np.array([class_id for _, _, class_id in found], np.int32),
        mask_parts=[()] * len(found),
    )


def joined(tiles: list[list[tuple[list[float], float, int]]], placement: Placement = ROW, **nms: Any) -> TileBoxes:
    return join_tile_boxes([boxes_of(found) for found in tiles], placement, nms=NmsSpec(**nms))


def seen(box: list[float], placement: Placement) -> list[list[tuple[list[float], float, int]]]:
    """What a perfect detector finds of one object: in each tile the part that it sees, better where it is more."""
    tiles = []
    for view in tile_views(placement):
        part = [*np.maximum(box[:2], view[:2]).tolist(), *np.minimum(box[2:], view[2:]).tolist()]
        area = max(0.0, part[2] - part[0]) * max(0.0, part[3] - part[1])
        tiles.append([(part, 0.5 + 0.4 * area / ((box[2] - box[0]) * (box[3] - box[1])), 0)] if area else [])
    return tiles


def test_nothing_in_any_tile() -> None:
    assert joined([[], [], []]).boxes_xyxy.shape == (0, 4)


@pytest.mark.parametrize(
    ("tiles", "expected"),
    [
        pytest.param([[([10, 10, 30, 30], 0.9, 0)], [], []], [[10, 10, 30, 30]], id="in-one-tile"),
        pytest.param(
            [[([82, 10, 97, 30], 0.8, 0)], [([82, 11, 97, 30], 0.9, 0)], []], [[82, 11, 97, 30]], id="whole-in-two"
        ),
        pytest.param(
            [[([85, 10, 100, 30], 0.99, 0)], [([86, 10, 120, 30], 0.6, 0)], []],
            [[86, 10, 120, 30]],
            id="the-whole-one-wins-over-a-better-score",
        ),
        pytest.param(
            [[([40, 10, 100, 50], 0.9, 0)], [([80, 10, 150, 50], 0.8, 0)], []], [[40, 10, 150, 50]], id="cut-by-both"
        ),
        pytest.param(
            [[([40, 10, 100, 50], 0.9, 0)], [([80, 10, 180, 50], 0.8, 0)], [([160, 10, 220, 50], 0.7, 0)]],
            [[40, 10, 220, 50]],
            id="over-three-tiles",
        ),
        pytest.param(
            [[([30, 10, 90, 70], 0.6, 0)], [([80, 30, 90, 50], 0.9, 0)], []],
            [[30, 10, 90, 70]],
            id="a-sliver-is-no-object",
        ),
        pytest.param(
            [[([30, 10, 90, 70], 0.6, 0)], [([80, 30, 90, 50], 0.9, 1)], []],
            [[80, 30, 90, 50], [30, 10, 90, 70]],
            id="a-sliver-of-another-class-is-one",
        ),
        pytest.param(
            [[([30, 10, 90, 70], 0.6, 0), ([82, 30, 90, 50], 0.7, 0)], [([80, 30, 90, 50], 0.9, 0)], []],
            [[82, 30, 90, 50], [30, 10, 90, 70]],
            id="a-sliver-that-its-neighbour-sees-too-is-one",
        ),
        pytest.param(
            [[([30, 10, 90, 70], 0.6, 0)], [([85, 30, 95, 50], 0.9, 0)], []],
            [[85, 30, 95, 50], [30, 10, 90, 70]],
            id="what-is-whole-is-no-sliver",
        ),
        pytest.param(
            [[([30, 10, 90, 70], 0.6, 0)], [([80, 60, 90, 90], 0.9, 0)], []],
            [[80, 60, 90, 90], [30, 10, 90, 70]],
            id="what-lies-half-outside-is-no-sliver",
        ),
        pytest.param(
            [[([40, 10, 100, 50], 0.9, 0)], [([80, 55, 150, 90], 0.8, 0)], []],
            [[40, 10, 100, 50], [80, 55, 150, 90]],
            id="two-objects-at-the-edge",
        ),
        pytest.param(
            [[([82, 10, 97, 30], 0.8, 0)], [([82, 10, 97, 30], 0.9, 1)], []],
            [[82, 10, 97, 30], [82, 10, 97, 30]],
            id="two-classes",
        ),
        pytest.param(
            [[([82, 10, 92, 30], 0.8, 0), ([88, 10, 98, 30], 0.7, 0)], [([84, 10, 94, 30], 0.6, 0)], []],
            [[82, 10, 92, 30], [88, 10, 98, 30]],
            id="what-one-tile-tells-apart-stays-apart",
        ),
    ],
)
def test_objects(tiles: list[list[tuple[list[float], float, int]]], expected: list[list[float]]) -> None:
    found = joined(tiles)
    assert sorted(found.boxes_xyxy.tolist()) == sorted(expected)
    assert (np.diff(found.scores) <= 0).all()


def test_an_object_has_the_best_score_of_its_parts() -> None:
    found = joined([[([85, 10, 100, 30], 0.99, 0)], [([86, 10, 120, 30], 0.6, 0)], []])
    assert found.scores.tolist() == [np.float32(0.99)]


def test_classes_compete_where_asked() -> None:
    tiles = [[([82, 10, 97, 30], 0.8, 0)], [([82, 10, 97, 30], 0.9, 1)], []]
    found = joined(tiles, class_agnostic=True)
    assert (found.class_ids.tolist(), len(joined(tiles).scores)) == ([1], 2)


def test_tiles_that_do_not_see_it_all_agree_about_a_corner() -> None:
    found = joined(seen([50, 50, 130, 130], GRID), GRID)
    assert found.boxes_xyxy.tolist() == [[50, 50, 130, 130]]


@given(x=st.integers(0, 239), y=st.integers(0, 79), width=st.integers(10, 260), height=st.integers(10, 100))
@settings(max_examples=200, deadline=None)
def test_one_object_stays_one(x: int, y: int, width: int, height: int) -> None:
    box = [float(x), float(y), float(min(260, x + width)), float(min(100, y + height))]
    found = joined(seen(box, ROW))
    assert found.boxes_xyxy.tolist() == [box]


def test_edges_of_the_image_cut_nothing() -> None:
    views = tile_views(ROW)
    assert views.tolist() == [[0, 0, 100, 100], [80, 0, 180, 100], [160, 0, 260, 100]]
    boxes = np.float32([[0, 0, 50, 100], [81, 10, 120, 20], [200, 0, 260, 100]])
    assert touches_inner_edge(boxes, views, image_hw=(100, 260)).tolist() == [False, True, False]


def test_order_of_equal_scores_is_fixed() -> None:
    tiles = [[([10, 10, 20, 20], 0.5, 1), ([30, 10, 40, 20], 0.5, 0)], [([120, 10, 130, 20], 0.5, 0)], []]
    assert joined(tiles).class_ids.tolist() == [0, 0, 1]
    assert joined(tiles).boxes_xyxy[:, 0].tolist() == [30, 120, 10]


@given(
    found=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 9), st.integers(1, 9), st.integers(0, 1)),
        min_size=1,
        max_size=12,
    ),
    agnostic=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_what_is_joined_competes_as_on_the_device(found: list[tuple[int, ...]], agnostic: bool) -> None:
    boxes = np.float32([[x, y, x + w, y + h] for x, y, w, h, _ in found])
    scores = np.linspace(0.9, 0.3, len(found), dtype=np.float32)
    class_ids = np.int32([class_id for *_, class_id in found])
    nms = NmsSpec(iou_threshold=0.3, class_agnostic=agnostic)
    one_tile = Candidates(boxes_xyxy=boxes[None], scores=scores[None], class_ids=class_ids[None])
    expected = suppress(one_tile, nms=nms, threshold=0.1)
    joined_boxes = TileBoxes(boxes_xyxy=boxes, scores=scores, class_ids=class_ids, mask_parts=[()] * len(found))
    kept = compete(joined_boxes, nms=nms)
    count = len(kept.scores)
    np.testing.assert_array_equal(kept.boxes_xyxy, expected.boxes_xyxy[0, :count])
    np.testing.assert_array_equal(kept.scores, expected.scores[0, :count])
    assert (expected.scores[0, count:] < 0).all()


def test_a_whole_object_has_the_mask_of_its_tile_and_a_cut_one_those_of_all() -> None:
    grids = [np.full((4, 4), value, np.uint8) for value in (1, 2, 3, 4)]
    window = np.float32([0, 0, 1, 1])
    parts = [(MaskPart(grid=grid, window_xyxy=window),) for grid in grids]
    whole, cut = ([10, 60, 30, 80], 0.5, 0), ([40, 10, 100, 50], 0.9, 0)
    first, second = boxes_of([cut, whole]), boxes_of([([80, 10, 150, 50], 0.8, 0)])
    tiles = [replace(first, mask_parts=parts[:2]), replace(second, mask_parts=parts[2:3]), boxes_of([])]
    found = join_tile_boxes(tiles, ROW, nms=NmsSpec())
    assert [[int(part.grid[0, 0]) for part in shown] for shown in found.mask_parts] == [[1, 3], [2]]
    best = [replace(boxes_of([([85, 10, 97, 30], 0.9, 0)]), mask_parts=parts[:1])]
    other = replace(boxes_of([([85, 10, 97, 31], 0.8, 0)]), mask_parts=parts[1:2])
    found = join_tile_boxes([*best, other, boxes_of([])], ROW, nms=NmsSpec())
    assert [[int(part.grid[0, 0]) for part in shown] for shown in found.mask_parts] == [[1]]
