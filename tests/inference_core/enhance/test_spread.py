from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.special
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.enhance.spread import Spread
from tests.arrays import LIBRARIES, array_of, numpy_of

each_library = pytest.mark.parametrize("library", LIBRARIES)
logits = arrays(np.float32, (4, 2, 5), elements=st.floats(-15, 15, width=32))
weights = st.lists(st.floats(0.125, 4, width=16), min_size=4, max_size=4)


def spread_of(forwards: Any, *, competes: bool, by: Any = (1, 1, 1, 1), library: str = "numpy") -> Spread:
    spread = Spread(competes=competes)
    for scores, weight in zip(forwards, by, strict=False):
        spread.add(array_of(scores, library=library), weight=weight)
    return spread


@each_library
@given(values=logits, by=weights)
def test_mean_and_deviation_are_numpys(library: str, values: Any, by: list[float]) -> None:
    scores = scipy.special.softmax(values.astype(np.float64), axis=-1)
    spread = spread_of(scores, competes=True, by=by, library=library)
    mean = np.average(scores, axis=0, weights=by)
    std = np.sqrt(np.average((scores - mean) ** 2, axis=0, weights=by))
    np.testing.assert_allclose(numpy_of(spread.mean), mean, atol=1e-6)
    np.testing.assert_allclose(numpy_of(spread.std), std, atol=2e-6)


@each_library
@given(values=logits, by=weights)
def test_entropies_are_scipys(library: str, values: Any, by: list[float]) -> None:
    scores = scipy.special.softmax(values.astype(np.float64), axis=-1)
    spread = spread_of(scores, competes=True, by=by, library=library)
    total = scipy.stats.entropy(np.average(scores, axis=0, weights=by), axis=-1)
    expected = np.average(scipy.stats.entropy(scores, axis=-1), axis=0, weights=by)
    np.testing.assert_allclose(numpy_of(spread.entropy), total / np.log(5), atol=1e-5)
    np.testing.assert_allclose(numpy_of(spread.mutual_information), (total - expected) / np.log(5), atol=1e-5)


@given(values=logits, by=weights)
def test_mutual_information_is_scikit_learns_of_forward_and_class(values: Any, by: list[float]) -> None:
    """What BALD asks for: how much it says of the class which forward (such as a dropout sample) gave the scores."""
    scores = scipy.special.softmax(values.astype(np.float64), axis=-1)
    found = spread_of(scores, competes=True, by=by).mutual_information
    for image in range(2):
        joint = np.asarray(by)[:, None] * scores[:, image]  # (forwards, classes)
        counts = np.rint(joint / joint.sum() * 2**30).astype(np.int64)  # it counts whole numbers
        expected = sklearn.metrics.mutual_info_score(None, None, contingency=counts)
        assert found[image] == pytest.approx(expected / np.log(5), abs=1e-5)  # ours in float32


@given(values=logits, by=weights, order=st.permutations(range(4)))
def test_the_order_of_forwards_says_nothing(values: Any, by: list[float], order: list[int]) -> None:
    scores = scipy.special.softmax(values.astype(np.float64), axis=-1)
    one = spread_of(scores, competes=True, by=by)
    other = spread_of(scores[order], competes=True, by=[by[index] for index in order])
    for name in ("mean", "std", "entropy", "mutual_information"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=2e-6)  # sums in another order


@given(values=arrays(np.float32, (2, 3, 4), elements=st.floats(-10, 10, width=32)))
def test_of_two_forwards_it_is_the_divergence_of_jensen_and_shannon(values: Any) -> None:
    scores = scipy.special.softmax(values.astype(np.float64), axis=-1)
    with np.errstate(invalid="ignore"):
        expected = scipy.spatial.distance.jensenshannon(scores[0], scores[1], axis=-1) ** 2 / np.log(4)
    found = spread_of(scores, competes=True).mutual_information
    np.testing.assert_allclose(found, np.nan_to_num(expected), atol=1e-5)  # SciPy's root of a rounded 0 may be nan


@given(values=logits)
def test_of_scores_that_do_not_compete_it_is_the_mean_of_each_class(values: Any) -> None:
    scores = scipy.special.expit(values.astype(np.float64))
    both = np.stack([scores, 1 - scores], axis=-1)  # (4, 2, 5, 2)
    gaps = scipy.stats.entropy(both.mean(axis=0), base=2, axis=-1) - scipy.stats.entropy(both, base=2, axis=-1).mean(
        axis=0
    )
    found = spread_of(scores, competes=False)
    np.testing.assert_allclose(found.mutual_information, gaps.mean(axis=-1), atol=1e-5)


@given(values=arrays(np.float32, (1, 2, 5), elements=st.floats(-15, 15, width=32)), by=weights)
def test_forwards_that_agree_have_no_spread_at_all(values: Any, by: list[float]) -> None:
    scores = np.repeat(scipy.special.softmax(values, axis=-1), 4, axis=0)
    spread = spread_of(scores, competes=True, by=by)
    np.testing.assert_array_equal(spread.mean, scores[0])
    assert (spread.std == 0).all()
    assert spread.mutual_information.max() < 1e-6


def test_two_certain_forwards_of_two_classes_disagree_as_much_as_can_be() -> None:
    spread = spread_of(np.float32([[[1, 0]], [[0, 1]]]), competes=True)
    np.testing.assert_allclose(
        [spread.entropy[0], spread.mutual_information[0], spread.std[0, 0]], [1, 1, 0.5], atol=1e-6
    )


def test_pixels_are_folded_like_images() -> None:
    scores = scipy.special.softmax(np.random.default_rng(0).normal(size=(3, 2, 4, 5, 6)), axis=2)
    spread = spread_of(scores, competes=True)
    flat = spread_of(np.moveaxis(scores, 2, -1).reshape(3, -1, 4), competes=True)
    np.testing.assert_allclose(spread.mutual_information.ravel(), flat.mutual_information, atol=1e-6)
