from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier
from sklearn.preprocessing import LabelEncoder

from inference_core.enhance.merge_scores import ScoreMerge
from inference_core.enhance_spec import SCORE_MERGES, Merge
from tests.arrays import LIBRARIES, array_of, numpy_of

each_library = pytest.mark.parametrize("library", LIBRARIES)
each_merge = pytest.mark.parametrize("merge", SCORE_MERGES)
logits = arrays(np.float32, (3, 2, 5), elements=st.floats(-20, 20, width=32))
"""Of three forwards, two images and five classes."""
weights = st.lists(st.floats(0.125, 4, width=16), min_size=3, max_size=3)
HALF = (0.5,) * 5


def merged(merge: Merge, forwards: Any, *, competes: bool, by: Any = (1, 1, 1), library: str = "numpy") -> Any:
    folding = ScoreMerge(merge, competes=competes, thresholds=() if competes else HALF)
    for scores, weight in zip(forwards, by, strict=False):
        folding.add(array_of(scores, library=library), weight=weight)
    return numpy_of(folding.scores)


def scores_of(values: Any, *, competes: bool) -> Any:
    wide = values.astype(np.float64)
    return scipy.special.softmax(wide, axis=-1) if competes else scipy.special.expit(wide)


def geometric_mean(scores: Any, by: list[float]) -> Any:
    """SciPy's, over the first axis."""
    return scipy.stats.gmean(scores, axis=0, weights=np.broadcast_to(np.reshape(by, (3, 1, 1)), scores.shape))


@each_library
@pytest.mark.parametrize("competes", [True, False])
@given(values=logits, by=weights)
def test_the_mean_is_the_weighted_one(library: str, competes: bool, values: Any, by: list[float]) -> None:
    scores = scores_of(values, competes=competes)
    found = merged("mean", scores, competes=competes, by=by, library=library)
    np.testing.assert_allclose(found, np.average(scores, axis=0, weights=by), atol=1e-6)


@each_library
@pytest.mark.parametrize("competes", [True, False])
@given(values=logits, by=weights)
def test_the_geometric_mean_is_scipys(library: str, competes: bool, values: Any, by: list[float]) -> None:
    scores = scores_of(values, competes=competes).astype(np.float32).astype(np.float64)
    found = merged("geometric", scores, competes=competes, by=by, library=library)
    if competes:
        expected = geometric_mean(scores, by)
        expected /= expected.sum(axis=-1, keepdims=True)
    else:
        yes, no = (geometric_mean(np.clip(part, 2.0**-24, None), by) for part in (scores, 1 - scores))
        expected = yes / (yes + no)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("competes", [True, False])
@given(values=logits)
def test_the_maximum_is_taken_class_by_class(competes: bool, values: Any) -> None:
    scores = scores_of(values, competes=competes)
    expected = scores.max(axis=0)
    if competes:
        expected /= expected.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(merged("max", scores, competes=competes, by=(1, 2, 3)), expected, atol=1e-6)


@each_library
@given(values=logits, by=weights)
def test_votes_are_counted_by_weight(library: str, values: Any, by: list[float]) -> None:
    scores = scores_of(values, competes=True).astype(np.float32)
    expected = np.zeros((2, 5))
    for forward, weight in zip(scores, by, strict=True):
        for image in range(2):
            expected[image, int(np.argmax(forward[image]))] += weight / sum(by)
    np.testing.assert_allclose(merged("vote", scores, competes=True, by=by, library=library), expected, atol=1e-6)


class Known(ClassifierMixin, BaseEstimator):
    """Knows the scores of images that are numbered."""

    def __init__(self, scores: Any) -> None:
        self.scores = scores
        self.classes_ = np.arange(scores.shape[1])

    def predict_proba(self, numbers: Any) -> Any:
        return self.scores[np.ravel(numbers)]

    def predict(self, numbers: Any) -> Any:
        return self.predict_proba(numbers).argmax(axis=1)


def voting(scores: Any, by: list[float], *, kind: str) -> VotingClassifier:
    """scikit-learn's, of classifiers that are there already."""
    members = [Known(one) for one in scores]
    together = VotingClassifier(
        [(str(index), one) for index, one in enumerate(members)], voting=kind, weights=by, flatten_transform=False
    )
    together.estimators_, together.le_ = members, LabelEncoder().fit(np.arange(scores.shape[2]))
    together.classes_ = together.le_.classes_
    return together


@given(values=logits, by=weights)
def test_a_vote_elects_what_scikit_learns_elects(values: Any, by: list[float]) -> None:
    """Ties go to the lower class id with both."""
    scores = scores_of(values, competes=True).astype(np.float32)
    shares = merged("vote", scores.astype(np.float64), competes=True, by=by)
    first, second = np.sort(shares, axis=1)[:, :-3:-1].T
    clear = (first - second > 1e-6) | (first == second)  # weights that differ by rounding alone may tie with one
    expected = voting(scores, by, kind="hard").predict(np.arange(2))
    np.testing.assert_array_equal(shares.argmax(axis=1)[clear], expected[clear])


@given(values=logits, by=weights)
def test_the_mean_is_that_of_scikit_learns_soft_vote(values: Any, by: list[float]) -> None:
    scores = scores_of(values, competes=True)
    found = merged("mean", scores, competes=True, by=by)
    expected = voting(scores, by, kind="soft").predict_proba(np.arange(2))
    np.testing.assert_allclose(found, expected, atol=1e-6)  # ours in float32


@each_merge
@pytest.mark.parametrize("competes", [True, False])
@given(values=logits, by=weights, order=st.permutations(range(3)))
def test_the_order_of_forwards_says_nothing(
    merge: Merge, competes: bool, values: Any, by: list[float], order: list[int]
) -> None:
    scores = scores_of(values, competes=competes)
    found = merged(merge, scores, competes=competes, by=by)
    other = merged(merge, scores[order], competes=competes, by=[by[index] for index in order])
    np.testing.assert_allclose(found, other, atol=2e-6)  # sums in another order, of float32


@each_merge
@pytest.mark.parametrize("competes", [True, False])
@given(values=logits, by=weights)
def test_weights_count_relative_to_each_other(merge: Merge, competes: bool, values: Any, by: list[float]) -> None:
    scores = scores_of(values, competes=competes)
    found = merged(merge, scores, competes=competes, by=by)
    scaled = merged(merge, scores, competes=competes, by=[8 * weight for weight in by])
    np.testing.assert_array_equal(found, scaled)  # a power of two rounds nothing


@each_merge
@pytest.mark.parametrize("competes", [True, False])
@given(values=logits, counts=st.lists(st.integers(1, 4), min_size=3, max_size=3))
def test_a_weight_is_a_repetition(merge: Merge, competes: bool, values: Any, counts: list[int]) -> None:
    scores = scores_of(values, competes=competes)
    found = merged(merge, scores, competes=competes, by=counts)
    repeated = merged(merge, np.repeat(scores, counts, axis=0), competes=competes, by=[1] * sum(counts))
    np.testing.assert_allclose(found, repeated, atol=4e-6)  # up to twelve steps of float32 instead of three


def test_a_score_that_reaches_its_threshold_is_a_vote() -> None:
    folding = ScoreMerge("vote", competes=False, thresholds=(0.5, 0.2))
    for scores in ([[0.5, 0.1]], [[0.4, 0.2]], [[0.6, 0.9]]):
        folding.add(np.float32(scores), weight=1.0)
    np.testing.assert_allclose(folding.scores, [[2 / 3, 2 / 3]], atol=1e-7)


@each_merge
@pytest.mark.parametrize("competes", [True, False])
@given(values=arrays(np.float32, (1, 2, 5), elements=st.floats(-20, 20, width=32)), by=weights)
def test_equal_forwards_are_as_one(merge: Merge, competes: bool, values: Any, by: list[float]) -> None:
    scores = scores_of(values, competes=competes).astype(np.float32)
    once = merged(merge, scores, competes=competes)
    found = merged(merge, np.repeat(scores, 3, axis=0), competes=competes, by=by)
    np.testing.assert_allclose(found, once, atol=0 if merge in ("mean", "vote") else 1e-6)
    if merge != "vote":
        np.testing.assert_allclose(once, scores[0], atol=2e-6)


@each_merge
@given(values=logits, by=weights)
def test_competing_scores_still_share_one(merge: Merge, values: Any, by: list[float]) -> None:
    found = merged(merge, scores_of(values, competes=True), competes=True, by=by)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert found.min() >= 0


@pytest.mark.parametrize("merge", ["geometric", "max"])
def test_scores_of_classes_that_are_none_stay_away(merge: Merge) -> None:
    scores = np.float32([[[0.5, 0.3]], [[0.2, 0.6]]])  # 0.2 each went to an output that was left out
    np.testing.assert_allclose(merged(merge, scores, competes=True).sum(), 0.8, atol=1e-6)


@each_library
@each_merge
@pytest.mark.parametrize("competes", [True, False])
def test_what_is_not_finite_stays_so(library: str, merge: Merge, competes: bool) -> None:
    scores = np.full((3, 2, 5), 0.2, np.float32)
    scores[1, 0, 3] = np.nan
    with np.errstate(invalid="ignore"):
        found = merged(merge, scores, competes=competes, library=library)
    assert np.isnan(found[0]).any()
    assert np.isfinite(found[1]).all()


def test_every_merge_of_scores_is_one() -> None:
    assert set(SCORE_MERGES) < set(get_args(Merge))
