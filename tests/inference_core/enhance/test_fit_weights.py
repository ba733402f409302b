from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference_core.enhance.fit_weights import fit_weights
from inference_core.errors import ConfigError, ShapeError


def members(seed: int, *, count: int = 3, images: int = 400, classes: int = 4, skill: Any = (1.0, 2.0, 0.5)) -> Any:
    """Scores of members that know different images, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, images)
    logits = random.normal(size=(count, images, classes))
    for member in range(count):
        known = random.random(images) < 0.6
        logits[member, known, truth[known]] += 2 * skill[member]
    return scipy.special.softmax(logits, axis=-1), truth


def expectation_maximised(likelihoods: Any) -> Any:
    """The weights of a mixture by its own classic algorithm, which climbs to the same top."""
    weights = np.full(len(likelihoods), 1 / len(likelihoods))
    for _ in range(20_000):
        weights = (weights[:, None] * likelihoods / (weights @ likelihoods)).mean(axis=1)
    return weights


@pytest.mark.parametrize("seed", range(4))
def test_the_weights_are_those_of_another_algorithm(seed: int) -> None:
    scores, truth = members(seed)
    found = fit_weights(scores, truth)
    np.testing.assert_allclose(found, expectation_maximised(scores[:, np.arange(len(truth)), truth]), atol=1e-3)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_weights_are_better(count: int, seed: int) -> None:
    """By the certificate of convex problems: where no member's mean of likelihood over that of the mixture is above 1,
    the loss is the least; where it is at most 1 + e, it is at most e above it (concavity of the logarithm).
    """
    scores, truth = members(seed, count=count, skill=(1.0, 2.0, 0.5, 0.1, 1.5))
    found = fit_weights(scores, truth)
    likelihoods = scores[:, np.arange(len(truth)), truth]
    assert (likelihoods / (found @ likelihoods)).mean(axis=1).max() <= 1 + 1e-5


@pytest.mark.parametrize("seed", range(3))
def test_the_weights_are_those_of_torchs_optimiser(seed: int) -> None:
    """L-BFGS on free numbers whose softmax the weights are, and torch's own loss."""
    scores, truth = members(seed)
    free = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    logs, labels = torch.from_numpy(np.log(scores)), torch.from_numpy(truth)
    optimiser = torch.optim.LBFGS([free], max_iter=500, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        mixed = torch.logsumexp(torch.log_softmax(free, 0)[:, None, None] + logs, dim=0)
        value = torch.nn.functional.nll_loss(mixed, labels)
        value.backward()
        return value

    optimiser.step(loss)
    # The loss is flat near its least value: 1e-10 of it is some 1e-4 of a weight.
    np.testing.assert_allclose(fit_weights(scores, truth), torch.softmax(free, 0).detach().numpy(), atol=1e-3)


@given(order=st.permutations(range(3)))
def test_the_order_of_members_says_nothing(order: list[int]) -> None:
    scores, truth = members(5)
    np.testing.assert_allclose(fit_weights(scores[order], truth), fit_weights(scores, truth)[order], atol=1e-3)


def test_of_labels_that_do_not_compete() -> None:
    random = np.random.default_rng(0)
    truth = random.random((300, 3)) < 0.4
    good, bad = (np.where(truth, 1, -1) * strength + random.normal(0, 1, truth.shape) for strength in (2.0, 0.2))
    scores = scipy.special.expit(np.stack([bad, good, bad[::-1]]))
    likelihoods = np.where(truth, scores, 1 - scores).reshape(3, -1)
    np.testing.assert_allclose(fit_weights(scores, truth), expectation_maximised(likelihoods), atol=1e-3)


def test_a_member_that_is_always_right_gets_all() -> None:
    scores = np.stack([np.full((20, 2), 0.5), np.eye(2)[np.zeros(20, int)]])
    np.testing.assert_allclose(fit_weights(scores, np.zeros(20, np.int64)), [0, 1], atol=1e-6)


def test_equal_members_share() -> None:
    scores, truth = members(0)
    weights = fit_weights(np.stack([scores[0], scores[0]]), truth)
    np.testing.assert_allclose(weights, [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize(("count", "images"), [pytest.param(1, 10, id="one member"), pytest.param(2, 0, id="no label")])
def test_what_cannot_be_fitted_is_refused(count: int, images: int) -> None:
    with pytest.raises(ConfigError, match=f"got {images} and {count}; add labels or members"):
        fit_weights(np.full((count, images, 2), 0.5), np.zeros(images, np.int64))


def test_shapes_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"scores must be \(M, N, K\) .*, got \[2, 5, 2\] and \[4\]"):
        fit_weights(np.full((2, 5, 2), 0.5), np.zeros(4, np.int64))
