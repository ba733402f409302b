from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.enhance_spec import ConformalSpec
from inference_core.prepare import plan_fit
from inference_core.results import Classification
from inference_core.tasks.build import build_task
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import model_spec

PLACEMENT = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))


def sets_of(logits: Any, *, library: str = "numpy", **conformal: Any) -> list[list[int]]:
    classes = [f"c{index}" for index in range(logits.shape[1])]
    task = build_task(model_spec({"classes": classes, "conformal": conformal}))
    raw = task.reduce({"logits": array_of(logits, library=library)}, tile_hw=(8, 8))
    sets = []
    for image in range(len(logits)):
        one = {name: numpy_of(array)[image : image + 1] for name, array in raw.items()}
        result = task.finish(one, PLACEMENT)
        assert isinstance(result, Classification)
        assert result.prediction_set is not None
        sets.append(task.to_row(result)["prediction_set"])
    return sets


@pytest.mark.parametrize("library", LIBRARIES)
@given(arrays(np.float32, (3, 6), elements=st.integers(-8, 8).map(float)), st.sampled_from([0.2, 0.55, 0.9, 0.97]))
def test_sets_are_those_of_the_definitions(library: str, logits: Any, quantile: float) -> None:
    scores = scipy.special.softmax(logits.astype(np.float64), axis=1)
    lac, aps = (sets_of(logits, library=library, method=method, quantile=quantile) for method in ("lac", "aps"))
    for image, row in enumerate(scores):
        order = sorted(range(6), key=lambda k, row=row: (-logits[image, k], k))  # type: ignore[misc]
        clear = min(abs(row - (1 - quantile))) > 1e-5
        assert not clear or lac[image] == [k for k in order if row[k] >= 1 - quantile]
        before = [sum(row[j] for j in order[:rank]) for rank in range(6)]
        clear = min(abs(np.array(before) - quantile)) > 1e-5
        assert not clear or aps[image] == [k for k, total in zip(order, before, strict=True) if total < quantile]


def test_sets_are_not_cut_to_the_best_classes_of_a_row() -> None:
    logits = np.zeros((1, 9), np.float32)
    assert sets_of(logits, method="aps", quantile=0.99) == [list(range(9))]


def test_one_class_may_be_left_or_none() -> None:
    logits = np.float32([[9, 0, 0], [0, 0, 0]])
    assert sets_of(logits, method="lac", quantile=0.5) == [[0], []]


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_the_promised_share_is_covered(method: str) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (4000, 5)).astype(np.float32)
    scores = scipy.special.softmax(logits.astype(np.float64), axis=1)
    truth = np.array([random.choice(5, p=row) for row in scores])
    order = np.argsort(-scores, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    rank = np.argmax(order == truth[:, None], axis=1)
    lac = 1 - scores[np.arange(4000), truth]
    aps = (np.cumsum(ranked, axis=1) - ranked)[np.arange(4000), rank]
    fitted = np.sort((lac if method == "lac" else aps)[:2000])[int(np.ceil(2001 * 0.9)) - 1] + 1e-6
    sets = sets_of(logits[2000:], method=method, quantile=min(float(fitted), 1.0))
    covered = np.mean([label in found for label, found in zip(truth[2000:], sets, strict=True)])
    assert covered == pytest.approx(0.9, abs=0.025)  # some four standard errors of 2,000 images


def test_without_it_there_is_no_column() -> None:
    assert "prediction_set" not in [field.name for field in build_task(model_spec()).result_fields]
    fields = build_task(model_spec({"conformal": {"quantile": 0.5}})).result_fields
    assert fields[-1].name == "prediction_set"
    assert ConformalSpec(quantile=0.5).method == "lac"
