from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.class_counts import ClassCounts

finds = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**40), st.floats(0, 1, width=32)), max_size=30)


def counts_of(rows: list[tuple[int, int, float]]) -> ClassCounts:
    return ClassCounts.of(
        np.array([class_id for class_id, _, _ in rows], dtype=np.int64),
        objects=np.array([pixels % 7 for _, pixels, _ in rows], dtype=np.int64),
        pixels=np.array([pixels for _, pixels, _ in rows], dtype=np.int64),
        scores=np.array([score for _, _, score in rows], dtype=np.float64),
        num_classes=4,
    )


def test_nothing_found_is_the_empty_count() -> None:
    assert counts_of([]) == ClassCounts.empty(4)
    assert ClassCounts.empty(4).score_mean(0) is None


def test_sums_agree_with_pandas() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"class_id": rng.integers(0, 4, 500), "pixels": rng.integers(1, 2**40, 500), "score": rng.random(500)}
    )
    counts = counts_of(list(frame.itertuples(index=False, name=None)))
    by_class = frame.groupby("class_id")
    assert counts.images == tuple(by_class.size())
    assert counts.pixels == tuple(by_class.pixels.sum())
    assert counts.objects == tuple((frame.pixels % 7).groupby(frame.class_id).sum())
    means = [counts.score_mean(class_id) for class_id in range(4)]
    assert means == pytest.approx(by_class.score.mean().tolist(), abs=1e-9)  # scores are rounded to 2^-32


def test_pixels_beyond_2_to_the_53_stay_exact() -> None:
    assert counts_of([(0, 2**53, 0.0), (0, 1, 0.0)]).pixels[0] == 2**53 + 1


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0], ids=["nan", "inf", "negative"])
def test_an_impossible_score_counts_as_nothing(score: float) -> None:
    assert counts_of([(0, 1, score), (0, 1, 0.5)]).score_mean(0) == 0.25


@given(finds, finds, finds)
def test_merge_is_exact_associative_and_commutative(
    a: list[tuple[int, int, float]], b: list[tuple[int, int, float]], c: list[tuple[int, int, float]]
) -> None:
    x, y, z = map(counts_of, (a, b, c))
    assert x.merge(y) == y.merge(x) == counts_of(a + b)
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(ClassCounts.empty(4)) == x


@pytest.mark.parametrize("class_id", [-1, 4])
def test_a_class_that_the_model_does_not_have_is_refused(class_id: int) -> None:
    with pytest.raises(ValueError, match=rf"class_id must be in \[0, 4\), got {class_id}; class_names"):
        counts_of([(0, 1, 1.0), (class_id, 1, 1.0)])


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one entry for each class"):
        ClassCounts(images=(1,), objects=(1,), pixels=(1,), score_totals=())
