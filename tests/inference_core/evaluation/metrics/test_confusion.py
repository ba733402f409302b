from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.evaluation.metrics.confusion import (
    balanced_accuracy,
    class_figures,
    count_pairs,
    macro_f1,
    most_confused,
)

CLASSES = [0, 1, 2, 3]
PAIRS = arrays(np.int64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 3))
LABELS = ["red", "green", "blue", "grey"]


@given(pairs=PAIRS)
def test_figures_are_scikit_learns(pairs: np.ndarray[Any, Any]) -> None:
    truth, found = pairs.T
    confusion = count_pairs(truth, found, num_classes=4)
    assert np.array_equal(confusion.matrix(), sklearn.metrics.confusion_matrix(truth, found, labels=CLASSES))
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        truth, found, labels=CLASSES, zero_division=np.nan
    )
    for k, figures in enumerate(class_figures(confusion, LABELS)):
        assert figures.num_true == support[k]
        got = [np.nan if value is None else value for value in (figures.precision, figures.recall)]
        np.testing.assert_allclose(got, [precision[k], recall[k]], rtol=1e-12)
        assert (figures.f1 is None) == (figures.num_true + figures.num_found == 0)
        if figures.f1 is not None:
            assert figures.f1 == pytest.approx(np.nan_to_num(f1[k]), rel=1e-12)
    present = sorted({*truth.tolist(), *found.tolist()})
    expected = sklearn.metrics.f1_score(truth, found, labels=present, average="macro", zero_division=0)
    assert macro_f1(confusion) == pytest.approx(expected, rel=1e-12)
    occurring = sorted(set(truth.tolist()))
    recalls = sklearn.metrics.recall_score(truth, found, labels=occurring, average="macro", zero_division=0)
    assert balanced_accuracy(confusion) == pytest.approx(recalls, rel=1e-12)


def test_nothing_has_no_figures() -> None:
    confusion = count_pairs(np.empty(0, np.int64), np.empty(0, np.int64), num_classes=4)
    assert np.isnan([macro_f1(confusion), balanced_accuracy(confusion)]).all()
    assert {(one.precision, one.recall, one.f1) for one in class_figures(confusion, LABELS)} == {(None, None, None)}


def test_the_commonest_mistakes_come_first() -> None:
    matrix = np.array([[9, 1, 2], [0, 5, 2], [0, 0, 1]])
    truth, found = np.argwhere(matrix + 1).repeat(matrix.ravel(), axis=0).T
    confusion = count_pairs(truth, found, num_classes=3)
    assert np.array_equal(confusion.matrix(), matrix)
    assert most_confused(confusion, count=2) == [(0, 2, 2), (1, 2, 2)]
    assert most_confused(count_pairs(truth, truth, num_classes=3), count=5) == []


@given(pairs=PAIRS)
def test_weights_are_repetitions(pairs: np.ndarray[Any, Any]) -> None:
    weights = np.arange(len(pairs)) % 3
    weighted = count_pairs(*pairs.T, num_classes=4, weights=weights)
    assert np.array_equal(weighted.matrix(), count_pairs(*pairs.repeat(weights, axis=0).T, num_classes=4).matrix())
