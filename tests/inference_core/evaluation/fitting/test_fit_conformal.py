from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.classification import SplitConformalClassifier
from mapie.conformity_scores import APSConformityScore
from sklearn.base import BaseEstimator, ClassifierMixin

from inference_core.enhance_spec import ConformalSpec
from inference_core.errors import ConfigError
from inference_core.evaluation.fitting.fit_conformal import (
    Method,
    fit_conformal,
    measure_coverage,
    nonconformity,
    prediction_sets,
)
from inference_core.tasks.conformal import set_sizes
from tests.specs import model_spec

METHODS: tuple[Method, ...] = ("lac", "aps")
each_method = pytest.mark.parametrize("method", METHODS)


def drawn(num_images: int, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    scores = random.dirichlet(np.full(6, 0.4), num_images)
    return scores, (scores.cumsum(axis=1) > random.random((num_images, 1))).argmax(axis=1)


@given(seed=st.integers(0, 10_000), num_images=st.integers(20, 60))
@each_method
def test_a_quantile_is_numpys_with_the_correction(method: Method, seed: int, num_images: int) -> None:
    scores, truth = drawn(num_images, seed)
    level = np.ceil((num_images + 1) * 0.9 - 1e-9) / num_images - 1e-9
    expected = np.quantile(nonconformity(scores, truth, method=method), level, method="inverted_cdf")
    found = fit_conformal(scores, truth, method=method, coverage_frac=0.9)
    assert expected < found <= expected + 1.001e-6


@each_method
@pytest.mark.parametrize("coverage_frac", [0.5, 0.8, 0.9, 0.95])
def test_sets_cover_as_much_as_is_promised(method: Method, coverage_frac: float) -> None:
    covered = []
    for seed in range(200):
        scores, truth = drawn(300, seed)
        quantile = fit_conformal(scores[:100], truth[:100], method=method, coverage_frac=coverage_frac)
        covered.append(measure_coverage(scores[100:], truth[100:], method=method, quantile=quantile).covered_frac)
    # The theorem's ends, and 1 in 100 for 200 repetitions of 200 images each.
    assert coverage_frac - 0.01 <= np.mean(covered)
    if method == "lac":  # whose scores have no ties
        assert np.mean(covered) <= coverage_frac + 1 / 101 + 0.01


@given(seed=st.integers(0, 10_000), quantile=st.floats(0.001, 0.999))
@each_method
def test_a_set_holds_the_classes_whose_nonconformity_is_small_enough(
    method: Method, seed: int, quantile: float
) -> None:
    scores, _ = drawn(10, seed)
    sets = prediction_sets(scores, method=method, quantile=quantile)
    for k in range(6):
        own = nonconformity(scores, np.full(10, k), method=method)
        assert np.array_equal(sets[:, k], (own <= quantile if method == "lac" else own < quantile))
    if method == "aps":  # the best classes until their scores sum to the quantile
        reached = (scores * sets).sum(axis=1)
        worst = np.where(sets, scores, np.inf).min(axis=1)
        assert ((reached >= quantile - 1e-12) & (reached - worst < quantile)).all()


@each_method
def test_truths_without_any_score_make_sets_of_all_classes(method: Method) -> None:
    scores, truth = np.tile([1.0, 0.0, 0.0], (20, 1)), np.ones(20, np.int64)
    quantile = fit_conformal(scores, truth, method=method, coverage_frac=0.9)
    assert prediction_sets(scores, method=method, quantile=quantile).all()
    model_spec({"conformal": {"method": method, "quantile": quantile}})  # a package takes it


class Known(ClassifierMixin, BaseEstimator):
    """Knows the scores of images that are numbered."""

    def __init__(self, scores: Any) -> None:
        self.scores = scores

    def fit(self, numbers: Any = None, truth: Any = None) -> Known:
        self.classes_ = np.arange(self.scores.shape[1])
        return self

    def predict_proba(self, numbers: Any) -> Any:
        return self.scores[np.ravel(numbers).astype(int)]

    def predict(self, numbers: Any) -> Any:
        return self.predict_proba(numbers).argmax(axis=1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("num_images", "coverage_frac"), [(45, 0.9), (50, 0.8), (99, 0.95), (100, 0.9)])
def test_lac_sets_are_those_of_mapie(num_images: int, coverage_frac: float, seed: int) -> None:
    """From labels to sets: both take the k-th least score, k = ceil((n + 1) coverage)."""
    scores, truth = drawn(num_images + 60, seed)
    numbers = np.arange(len(scores))[:, None]
    reference = SplitConformalClassifier(
        Known(scores).fit(), confidence_level=coverage_frac, conformity_score="lac", prefit=True
    ).conformalize(numbers[:num_images], truth[:num_images])
    expected = reference.predict_set(numbers[num_images:])[1][:, :, 0]
    quantile = fit_conformal(scores[:num_images], truth[:num_images], method="lac", coverage_frac=coverage_frac)
    found = prediction_sets(scores[num_images:], method="lac", quantile=quantile)
    # Ours is rounded up to six digits: between the two lies no score that was drawn here.
    np.testing.assert_array_equal(found, expected)


class AllOnes(np.random.RandomState):
    """Where MAPIE draws the share of the true class's score that it takes off, all of it."""

    def uniform(self, *args: Any, size: Any = None, **kwargs: Any) -> Any:
        return np.ones(size)


@given(seed=st.integers(0, 10_000))
def test_aps_scores_are_mapies_without_its_chance(seed: int) -> None:
    """The sum of the scores up to and with the true class, less a drawn share of its own: ours takes off all of it."""
    scores, truth = drawn(40, seed)
    reference = APSConformityScore()
    reference.set_external_attributes(classes=np.arange(6), random_state=AllOnes())
    expected = reference.get_conformity_scores(truth, scores, y_enc=truth)[:, 0]
    np.testing.assert_allclose(nonconformity(scores, truth, method="aps"), expected, atol=1e-12)


@given(seed=st.integers(0, 10_000), quantile=st.floats(0.05, 0.95))
def test_aps_sets_of_a_quantile_are_mapies(seed: int, quantile: float) -> None:
    scores, _ = drawn(20, seed)
    reference = APSConformityScore()
    reference.quantiles_ = np.array([quantile])
    probs = scores[:, :, None]
    expected = reference.get_prediction_sets(probs, np.zeros((1, 1)), np.array([0.1]), cv="prefit")[:, :, 0]
    np.testing.assert_array_equal(prediction_sets(scores, method="aps", quantile=quantile), expected)


def test_few_images_cannot_promise_much() -> None:
    scores, truth = drawn(9)
    assert fit_conformal(scores, truth, method="lac", coverage_frac=0.9) > 0
    with pytest.raises(ConfigError, match=r"at least 19 labelled images to fit on for 0.95, got 9; label more"):
        fit_conformal(scores, truth, method="lac", coverage_frac=0.95)
    with pytest.raises(ConfigError, match="--coverage: must lie between 0 and 1, got 1"):
        fit_conformal(scores, truth, method="lac", coverage_frac=1)


def test_what_sets_do_is_counted() -> None:
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    found = measure_coverage(scores, np.array([0, 1, 0]), method="lac", quantile=0.45)
    assert (found.num_covered, found.mean_size, found.empty_frac) == (1, pytest.approx(2 / 3), pytest.approx(1 / 3))


@given(seed=st.integers(0, 10_000), quantile=st.floats(0.001, 0.999))
@each_method
def test_a_package_gives_the_sets_that_were_measured(method: Method, seed: int, quantile: float) -> None:
    scores, _ = drawn(10, seed)
    ranked = -np.sort(-scores, axis=1)
    sizes = set_sizes(ranked, ConformalSpec(method=method, quantile=quantile))
    assert sizes.tolist() == prediction_sets(scores, method=method, quantile=quantile).sum(axis=1).tolist()
