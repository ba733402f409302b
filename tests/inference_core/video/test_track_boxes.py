from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError
from inference_core.results import Detection
from inference_core.video.smooth import Smoothing
from inference_core.video.track_boxes import BoxTracker

Seen = tuple[int, float, float, float]
"""Class, left and top of a box of 20 x 20 pixels, score."""
IMAGE_HW = (100, 200)
FRAME_S = 0.1
METHODS: tuple[Smoothing, ...] = ("exponential", "median")


def detection(*seen: Seen) -> Detection:
    ordered = sorted(seen, key=lambda entry: -entry[3])
    return Detection(
        boxes_xyxy=np.array([[x, y, x + 20, y + 20] for _, x, y, _ in ordered], np.float32).reshape(-1, 4),
        scores=np.array([score for *_, score in ordered], np.float32),
        class_ids=np.array([class_id for class_id, *_ in ordered], np.int32),
        labels=tuple(f"class {class_id}" for class_id, *_ in ordered),
    )


def follow(
    frames: list[list[Seen]], method: Smoothing, *, window_s: float = 0.5
) -> tuple[list[Detection], list[list[int]]]:
    tracker = BoxTracker(method, window_s=window_s)
    answers = [
        tracker.update(detection(*seen), time_s=index * FRAME_S, image_hw=IMAGE_HW) for index, seen in enumerate(frames)
    ]
    return [shown for shown, _ in answers], [track_ids.tolist() for _, track_ids in answers]


@pytest.mark.parametrize("method", ["none", *METHODS])
def test_no_objects_are_none(method: Smoothing) -> None:
    shown, track_ids = follow([[], []], method)
    assert [len(result.scores) for result in shown] == [0, 0]
    assert track_ids == [[], []]


@pytest.mark.parametrize("method", METHODS)
def test_an_object_that_flickers_is_shown_all_the_time_and_keeps_its_id(method: Smoothing) -> None:
    shown, track_ids = follow([[(0, 50, 30, 0.6)] if index % 2 == 0 else [] for index in range(20)], method)
    assert [len(result.scores) for result in shown] == [1] * 20
    assert all(result.boxes_xyxy[0].tolist() == pytest.approx([50, 30, 70, 50]) for result in shown)
    assert {ids[0] for ids in track_ids if ids} == {0}
    assert all(result.scores[0] == pytest.approx(0.6) for result in shown)


@pytest.mark.parametrize("method", METHODS)
def test_a_blip_is_not_shown(method: Smoothing) -> None:
    shown, _ = follow([[(1, 90, 60, 0.9)] if index == 10 else [] for index in range(20)], method)
    assert [len(result.scores) for result in shown] == [0] * 20


@pytest.mark.parametrize("method", METHODS)
def test_an_object_that_is_gone_is_not_shown_for_long(method: Smoothing) -> None:
    shown, _ = follow([[(0, 50, 30, 0.6)] if index < 10 else [] for index in range(20)], method)
    counts = [len(result.scores) for result in shown]
    assert counts[:10] == [1] * 10
    assert counts[15:] == [0] * 5  # 0.5 s later at the latest


@pytest.mark.parametrize("method", METHODS)
def test_ids_stay_where_objects_pass_each_other(method: Smoothing) -> None:
    """One goes right and one left, in the same row but of two classes; and one of the first class stands below."""
    frames = [[(0, 8 * t, 10, 0.9), (1, 160 - 8 * t, 10, 0.8), (0, 80, 60, 0.7)] for t in range(20)]
    shown, track_ids = follow(frames, method)
    assert track_ids == [[0, 1, 2]] * 20
    for t, result in enumerate(shown):
        assert result.labels == ("class 0", "class 1", "class 0")
        assert result.boxes_xyxy[:, 0].tolist() == pytest.approx([8 * t, 160 - 8 * t, 80], abs=0.01)


def test_a_moving_object_is_met_again_where_it_should_be() -> None:
    """Unseen for three frames it has moved by more than its width."""
    frames = [[(0, 9 * t, 10, 0.9)] if t not in (9, 10, 11) else [] for t in range(16)]
    _, track_ids = follow(frames, "exponential")
    assert {ids[0] for ids in track_ids if ids} == {0}


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_smoothed(method: Smoothing) -> None:
    scores = [0.9, 0.9, 0.9, 0.5, 0.9, 0.9, 0.9, 0.5, 0.9]
    shown, _ = follow([[(0, 50, 30, score)] for score in scores], method)
    steps = np.abs(np.diff([float(result.scores[0]) for result in shown[3:]]))
    assert steps.max() < 0.1


def test_boxes_stay_in_the_picture() -> None:
    shown, _ = follow([[(0, 120 + 10 * t, 90, 0.9)] for t in range(7)] + [[], []], "exponential")
    for result in shown:
        assert (result.boxes_xyxy <= [200, 100, 200, 100]).all()
        assert (result.boxes_xyxy[:, 2:] > result.boxes_xyxy[:, :2]).all()


def test_none_gives_ids_and_changes_nothing() -> None:
    frames: list[list[Seen]] = [[(0, 50, 30, 0.6)], [], [(0, 52, 30, 0.6)]]
    shown, track_ids = follow(frames, "none")
    assert [len(result.scores) for result in shown] == [1, 0, 1]
    assert track_ids == [[0], [], [0]]


def test_after_a_while_an_object_is_a_new_one() -> None:
    _, track_ids = follow([[(0, 50, 30, 0.6)], *[[]] * 9, [(0, 50, 30, 0.6)]], "median")
    assert (track_ids[0], track_ids[-1]) == ([0], [1])


BOXES = st.tuples(st.integers(0, 2), st.floats(0, 180), st.floats(0, 80), st.floats(0.1, 1))


@given(frames=st.lists(st.lists(BOXES, max_size=4), max_size=12), method=st.sampled_from(["none", *METHODS]))
def test_what_was_seen_says_what_is_shown(frames: list[list[Seen]], method: Smoothing) -> None:
    shown, track_ids = follow(frames, method)
    for result, ids, seen in zip(shown, track_ids, frames, strict=True):
        assert len(ids) == len(set(ids)) == len(seen)
        assert (np.diff(result.scores) <= 0).all()
        assert set(result.class_ids.tolist()) <= {entry[0] for frame in frames for entry in frame}
    again, _ = follow(frames[: len(frames) // 2], method)  # what comes later changes nothing
    for result, before in zip(shown, again, strict=False):
        assert result.boxes_xyxy.tolist() == before.boxes_xyxy.tolist()


def test_no_window_is_refused() -> None:
    with pytest.raises(ConfigError, match="window_s: must be above 0, got 0"):
        BoxTracker("median", window_s=0)
