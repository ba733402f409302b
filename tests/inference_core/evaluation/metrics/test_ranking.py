from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.evaluation.metrics.ranking import average_precision, average_precisions, mean_of_known, rank_classes

COARSE = arrays(np.float64, st.integers(1, 30), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))


@given(scores=COARSE, data=st.data())
def test_average_precision_is_scikit_learns(scores: np.ndarray[Any, Any], data: st.DataObject) -> None:
    is_true = data.draw(arrays(np.bool_, len(scores)))
    weights = data.draw(arrays(np.int64, len(scores), elements=st.integers(0, 3)))
    if is_true.any():
        expected = sklearn.metrics.average_precision_score(is_true, scores)
        assert average_precision(scores, is_true) == pytest.approx(expected, abs=1e-12)
    if (weights * is_true).any():
        repeated = average_precision(np.repeat(scores, weights), np.repeat(is_true, weights))
        assert average_precision(scores, is_true, weights=weights) == pytest.approx(repeated, abs=1e-12)


def test_what_nothing_shows_has_no_precision() -> None:
    assert np.isnan(average_precision(np.empty(0), np.empty(0, np.bool_)))
    assert np.isnan(average_precision(np.array([0.5]), np.array([False])))
    rankings = rank_classes(np.array([[0.9, 0.5], [0.1, 0.5]]), np.array([[True, False], [False, False]]))
    found = average_precisions(rankings)
    assert found[0] == 1
    assert np.isnan(found[1])
    assert mean_of_known(found) == 1
    assert np.isnan(mean_of_known(np.array([np.nan])))
