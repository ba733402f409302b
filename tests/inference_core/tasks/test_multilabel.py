from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.errors import ConfigError, ModelError
from inference_core.prepare import plan_fit
from inference_core.results import MultiLabel
from inference_core.tasks.build import build_task
from inference_core.tasks.multilabel import MultiLabelTask
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import model_spec

PLACEMENT = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))
each_library = pytest.mark.parametrize("library", LIBRARIES)


def task_of(**output: Any) -> MultiLabelTask:
    options = {"activation": "none", **output}
    calibration = {"temperature": options.pop("temperature", 1.0)}
    task = build_task(model_spec({"task": "multilabel", "output": options, "calibration": calibration}))
    assert isinstance(task, MultiLabelTask)
    return task


def answer(task: MultiLabelTask, scores: Any, *, library: str = "numpy") -> MultiLabel:
    reduced = task.reduce({"scores": array_of(scores, library=library)}, tile_hw=(8, 8))
    result = task.finish({name: numpy_of(array) for name, array in reduced.items()}, PLACEMENT)
    assert isinstance(result, MultiLabel)
    return result


@each_library
@given(logits=arrays(np.float32, (1, 3), elements=st.floats(-30, 30, width=32)))
@settings(deadline=None)  # the first example imports torch
def test_every_class_over_its_threshold_is_shown(library: str, logits: np.ndarray[Any, Any]) -> None:
    thresholds = {"red": 0.25, "blue": 0.75}
    task = task_of(activation="sigmoid", threshold=0.5, thresholds=thresholds)
    result = answer(task, logits, library=library)
    scores = scipy.special.expit(logits[0].astype(np.float64))
    limits = np.array([0.25, 0.5, 0.75])
    if (abs(scores - limits) > 1e-6).all():
        assert sorted(result.class_ids.tolist()) == np.flatnonzero(scores >= limits).tolist()
    np.testing.assert_allclose(result.scores, scores[result.class_ids], atol=1e-6)
    assert result.top_class_ids.tolist() == sorted(range(3), key=lambda k: (-logits[0, k], k))
    assert (np.diff(result.top_scores) <= 0).all()


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        pytest.param([0.0, 0.0, 0.0], [], id="nothing"),
        pytest.param([0.5, 0.0, 0.0], [0], id="equal-to-the-threshold"),
        pytest.param([0.6, 0.6, 0.6], [0, 1, 2], id="ties-by-class-id"),
        pytest.param([0.6, 0.7, 0.9], [2, 1, 0], id="best-first"),
    ],
)
def test_shown_classes(scores: list[float], shown: list[int]) -> None:
    result = answer(task_of(), [scores])
    assert result.class_ids.tolist() == shown
    assert result.labels == tuple(("red", "green", "blue")[k] for k in shown)


def test_the_best_are_kept_whatever_their_score() -> None:
    task = task_of(top_k=2)
    row = task.to_row(answer(task, [[0.1, 0.2, 0.05]]))
    assert (row["class_ids"], row["labels"], row["scores"]) == ([], [], [])
    assert row["score"] == pytest.approx(0.2)
    assert [entry["label"] for entry in row["top_k"]] == ["green", "red"]


def test_temperature_moves_scores_towards_a_half() -> None:
    logits = [[4.0, -4.0, 0.0]]
    plain, warm = (answer(task_of(activation="sigmoid", temperature=t), logits) for t in (1.0, 2.0))
    np.testing.assert_allclose(warm.top_scores, scipy.special.expit([2.0, 0.0, -2.0]), atol=1e-6)
    assert plain.top_scores[0] > warm.top_scores[0]


def test_a_row_fits_the_schema() -> None:
    task = task_of()
    row = task.to_row(answer(task, [[0.9, 0.1, 0.7]]))
    table = pa.Table.from_pylist([row], schema=pa.schema(task.result_fields))
    assert table["labels"].to_pylist() == [["red", "blue"]]


def test_trailing_axes_of_one_are_taken_away() -> None:
    assert answer(task_of(), np.float32([0.9, 0.1, 0.7]).reshape(1, 3, 1, 1)).class_ids.tolist() == [0, 2]


def test_scores_that_are_no_numbers_are_told() -> None:
    reduced = task_of().reduce({"s": np.float32([[1, np.nan, 0], [1, 0, 0]])}, tile_hw=(8, 8))
    assert reduced["finite"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        pytest.param((1, 4), "classes must have one name for each of the model's 4 outputs", id="classes"),
        pytest.param((1, 3, 2), r"must give \(B, K\) scores, got \[1, 3, 2\]", id="axes"),
    ],
)
def test_an_output_that_does_not_fit_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        task_of().reduce({"s": np.zeros(shape, np.float32)}, tile_hw=(8, 8))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        pytest.param({}, "output.activation must be sigmoid or none with task multilabel, got softmax", id="softmax"),
        pytest.param(
            {"activation": "none", "thresholds": {"pink": 0.5}}, "thresholds must name classes, got pink", id="class"
        ),
        pytest.param(
            {"activation": "none", "thresholds": {"red": 1.5}}, "thresholds.red: must be less than 1", id="range"
        ),
        pytest.param(
            {"activation": "none", "l2_normalize": True}, "l2_normalize must go with task embedding", id="option"
        ),
    ],
)
def test_a_wrong_spec_is_refused(output: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_spec({"task": "multilabel", "output": output})
