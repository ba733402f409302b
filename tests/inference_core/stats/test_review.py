from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.review import REVIEW_SIZE, ReviewEntry, ReviewQueue

images = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, math.nan]) | st.floats(0, 1, width=32), st.text(max_size=2)),
    max_size=150,
)


def queue_of(rows: list[tuple[float, str]]) -> ReviewQueue:
    return ReviewQueue.of(
        np.array([score for score, _ in rows], dtype=np.float64),
        image_ids=[image_id for _, image_id in rows],
        uris=[f"s3://b/{image_id}" for _, image_id in rows],
        class_ids=[0] * len(rows),
    )


def test_no_images_give_an_empty_queue() -> None:
    assert queue_of([]) == ReviewQueue.empty()


def test_an_entry_carries_what_a_person_needs_to_find_the_image() -> None:
    queue = ReviewQueue.of(np.array([0.25]), image_ids=["a.jpg"], uris=["s3://b/a.jpg"], class_ids=[7])
    assert queue.entries == (ReviewEntry(0.25, "a.jpg", "s3://b/a.jpg", 7),)


def test_equal_scores_are_ordered_by_image_id() -> None:
    rows = [(0.5, f"{k:03d}") for k in range(200)]
    kept = [entry.image_id for entry in queue_of(rows[::-1]).entries]
    assert kept == [f"{k:03d}" for k in range(REVIEW_SIZE)]


def test_scores_that_are_not_finite_are_left_out() -> None:
    assert [entry.score for entry in queue_of([(math.nan, "a"), (0.5, "b"), (math.inf, "c")]).entries] == [0.5]


@given(images)
def test_the_lowest_are_kept_in_order(rows: list[tuple[float, str]]) -> None:
    expected = sorted((score, image_id) for score, image_id in rows if not math.isnan(score))[:REVIEW_SIZE]
    assert [(entry.score, entry.image_id) for entry in queue_of(rows).entries] == expected


@given(images, images, images)
def test_merge_is_exact_associative_and_commutative(
    a: list[tuple[float, str]], b: list[tuple[float, str]], c: list[tuple[float, str]]
) -> None:
    x, y, z = map(queue_of, (a, b, c))
    assert x.merge(y) == y.merge(x) == queue_of(a + b)
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(ReviewQueue.empty()) == x


def test_a_falling_or_too_long_queue_is_refused() -> None:
    entries = queue_of([(0.1, "a"), (0.2, "b")]).entries
    with pytest.raises(ValueError, match="entries must be at most 50 and rising, got 2"):
        ReviewQueue(entries=entries[::-1])
    with pytest.raises(ValueError, match="entries must be at most 50 and rising, got 51"):
        ReviewQueue(entries=entries[:1] * 51)
