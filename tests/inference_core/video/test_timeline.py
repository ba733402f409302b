from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ShapeError
from inference_core.video.evidence import evidence_of_row
from inference_core.video.timeline import TimelineFold, VideoSummary, median_of

NAMES = ("cat", "dog")


def summarise(
    evidence: list[list[float]], times_s: list[float], *, threshold: float = 0.5, min_event_s: float = 0.0
) -> VideoSummary:
    fold = TimelineFold(NAMES, threshold=threshold, min_event_s=min_event_s)
    for scores, time_s in zip(evidence, times_s, strict=True):
        fold.add(np.array(scores, np.float32), time_s=time_s)
    return fold.finish()


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
    with pytest.raises(ShapeError, match=r"evidence must be \(2,\) for these classes, got \(3,\)"):
        summarise([[0.1, 0.2, 0.3]], [0])


SCORES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


@given(st.lists(st.tuples(SCORES, SCORES, st.integers(1, 2000)), min_size=2, max_size=40))
def test_the_fold_is_what_all_frames_at_once_give(frames: list[tuple[float, float, int]]) -> None:
    """Against sums over whole arrays, written down from the definitions."""
    evidence = np.array([frame[:2] for frame in frames])
    times_s = np.cumsum([frame[2] for frame in frames]) / 1000
    found = summarise(evidence.tolist(), times_s.tolist())
    gaps = np.diff(times_s)
    lengths = np.append(gaps, np.median(gaps))
    assert found.end_s == pytest.approx(times_s[-1] + np.median(gaps))
    assert found.mean_score == pytest.approx(float(np.average(evidence, axis=0, weights=lengths).max()), abs=1e-8)
    best = np.where(evidence.max(axis=1) > 0, evidence.argmax(axis=1), -1)
    shares = [float(lengths[best == index].sum() / lengths.sum()) for index in range(2)]
    assert found.majority_frac == pytest.approx(max(shares), abs=1e-8)
    in_events = np.zeros_like(evidence, bool)
    for event in found.events:
        inside = (times_s >= event.start_s) & (times_s < event.end_s)
        column = NAMES.index(event.label)
        in_events[inside, column] = True
        assert event.num_frames == inside.sum()
        assert event.score_mean == pytest.approx(evidence[inside, column].mean())
        assert event.score_max == evidence[inside, column].max()
    assert (in_events == (evidence >= 0.5)).all()


@given(st.lists(st.integers(0, 50), min_size=1))
def test_the_median_of_counts_is_that_of_the_numbers(values: list[int]) -> None:
    assert median_of(Counter(values)) == np.median(values)


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
