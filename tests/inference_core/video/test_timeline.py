from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import ShapeError
from inference_core.video.evidence import evidence_of_row
from inference_core.video.timeline import VideoSummary, summarise_video

NAMES = ("cat", "dog")


def summarise(evidence: list[list[float]], times_s: list[float], **options: float) -> VideoSummary:
    return summarise_video(
        np.array(evidence, np.float32).reshape(-1, 2),
        np.array(times_s, np.float64),
        class_names=NAMES,
        **{"threshold": 0.5, **options},
    )


def test_no_frame_shows_nothing() -> None:
    summary = summarise([], [])
    assert (summary.num_frames, summary.mean_label, summary.majority_label, summary.events) == (0, "", "", ())


def test_a_single_frame_lasts_no_time() -> None:
    summary = summarise([[0.1, 0.9]], [2.0])
    assert (summary.mean_label, summary.majority_label, summary.longest_label) == ("dog", "dog", "dog")
    assert (summary.start_s, summary.end_s) == (2.0, 2.0)
    assert [(event.start_s, event.end_s) for event in summary.events] == [(2.0, 2.0)]


def test_nothing_seen_is_no_class() -> None:
    summary = summarise([[0, 0]] * 3, [0, 1, 2])
    assert (summary.mean_label, summary.majority_label, summary.longest_label, summary.events) == ("", "", "", ())


def test_a_whole_video() -> None:
    summary = summarise([[0.9, 0], [0.6, 0.7], [0, 0.8], [0.55, 0.2], [0.8, 0.1]], [0, 1, 2, 3, 4])
    assert summary.end_s == 5
    assert (summary.mean_label, summary.mean_score) == ("cat", pytest.approx(0.57))
    assert (summary.majority_label, summary.majority_frac) == ("cat", pytest.approx(0.6))
    assert (summary.longest_label, summary.longest_start_s, summary.longest_end_s) == ("dog", 1, 3)
    assert [(event.label, event.start_s, event.end_s, event.num_frames) for event in summary.events] == [
        ("cat", 0, 2, 2),
        ("dog", 1, 3, 2),
        ("cat", 3, 5, 2),
    ]
    assert (summary.events[2].score_max, summary.events[2].peak_s) == (pytest.approx(0.8), 4)


def test_frames_count_for_as_long_as_they_are_shown() -> None:
    summary = summarise([[1, 0], [0, 1], [0, 1], [0, 1]], [0, 7, 8, 9])
    assert summary.majority_label == "cat"
    assert summary.majority_frac == pytest.approx(0.7)
    assert summary.mean_score == pytest.approx(0.7)


def test_short_events_are_left_out() -> None:
    evidence = [[1, 0], [0, 1], [0, 1], [0, 1], [1, 0]]
    assert [event.label for event in summarise(evidence, [0, 1, 2, 3, 4], min_event_s=2).events] == ["dog"]


def test_the_threshold_says_what_shows() -> None:
    evidence = [[0.3, 0], [0.4, 0], [0.5, 0]]
    assert [event.start_s for event in summarise(evidence, [0, 1, 2]).events] == [2]
    assert [event.start_s for event in summarise(evidence, [0, 1, 2], threshold=0.35).events] == [1]


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"evidence must be \(2, 2\) for these frames and classes, got \[1, 2\]"):
        summarise([[0.1, 0.2]], [0, 1])


@pytest.mark.parametrize(
    ("task", "row", "expected"),
    [
        ("classification", {"top_k": [{"class_id": 2, "score": 0.75}]}, [0, 0, 0.75]),
        ("multilabel", {"top_k": [{"class_id": 0, "score": 0.5}, {"class_id": 1, "score": 0.25}]}, [0.5, 0.25, 0]),
        ("detection", {"objects": []}, [0, 0, 0]),
        ("detection", {"objects": [{"class_id": 1, "score": 0.5}, {"class_id": 1, "score": 0.75}]}, [0, 0.75, 0]),
        ("segmentation", {"classes": [{"class_id": 0, "frac": 0.75}, {"class_id": 2, "frac": 0.25}]}, [0, 0, 0.25]),
    ],
)
def test_evidence_of_each_task(task: str, row: dict[str, object], expected: list[float]) -> None:
    assert evidence_of_row(row, task=task, num_classes=3).tolist() == expected  # type: ignore[arg-type]
