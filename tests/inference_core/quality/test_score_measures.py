from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from inference_core.quality.score_measures import (
    binary_entropy,
    class_margin,
    class_thresholds,
    label_entropy,
    label_margin,
    object_scores,
)

SCORES = hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(0, 1, width=32))


def floats(*values: float) -> Any:
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("scores", "margin"),
    [
        pytest.param((0.5,), None, id="single"),
        pytest.param((0.5, 0.5), 0.0, id="equal"),
        pytest.param((0.75, 0.25, 0.0), 0.5, id="best-less-second"),
    ],
)
def test_the_margin_of_classes(scores: tuple[float, ...], margin: float | None) -> None:
    assert class_margin(floats(*scores)) == {"margin": margin}


def test_the_margin_of_labels_is_that_of_the_score_nearest_to_its_own_threshold() -> None:
    assert label_margin(floats(0.9, 0.5, 0.1), floats(0.5, 0.25, 0.2))["margin"] == pytest.approx(0.1, abs=1e-7)


@given(SCORES)
def test_the_entropy_of_labels_is_scipys(scores: Any) -> None:
    exact = scores.astype(np.float64)
    expected = stats.entropy(np.stack([exact, 1 - exact]), base=2, axis=0).mean()
    # Sums of logarithms of doubles: 1e-12 is far above their rounding.
    assert label_entropy(scores)["entropy"] == pytest.approx(expected, abs=1e-12)


def test_binary_entropy_has_its_ends_and_its_middle() -> None:
    assert binary_entropy(np.array([0.0, 0.5, 1.0])).tolist() == [0.0, 1.0, 0.0]


def test_without_objects_nothing_is_known() -> None:
    assert set(object_scores(floats(), floats(), near=0.1).values()) == {None}


@given(SCORES)
def test_figures_of_objects_are_numpys(scores: Any) -> None:
    exact = scores.astype(np.float64)
    found = object_scores(scores, np.full(len(scores), 0.5, np.float32), near=0.25)
    assert found == pytest.approx(
        {
            "score_mean": np.mean(exact),
            "score_min": np.min(exact),
            "score_spread": np.std(exact),
            "near_threshold_frac": np.mean((exact >= 0.25) & (exact <= 0.75)),
        }
    )


def test_classes_have_their_own_thresholds() -> None:
    assert class_thresholds(("cat", "dog"), threshold=0.5, own={"dog": 0.25}).tolist() == [0.5, 0.25]
