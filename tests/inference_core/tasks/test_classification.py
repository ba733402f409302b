from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.errors import ModelError
from inference_core.prepare import plan_fit
from inference_core.results import Classification
from inference_core.tasks.build import build_task
from inference_core.tasks.classification import ClassificationTask, normalized_entropy
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import model_spec

PLACEMENT = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))
TILE = (8, 8)
each_library = pytest.mark.parametrize("library", LIBRARIES)


def task_of(*, num_classes: int = 3, **options: Any) -> ClassificationTask:
    classes = [f"c{index}" for index in range(num_classes)]
    calibration = {"temperature": options.pop("temperature", 1.0)}
    task = build_task(model_spec({"classes": classes, "output": options, "calibration": calibration}))
    assert isinstance(task, ClassificationTask)
    return task


def reduced(task: ClassificationTask, logits: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {name: numpy_of(array) for name, array in task.reduce({"logits": logits}, tile_hw=TILE).items()}


def answer(task: ClassificationTask, logits: list[float]) -> Classification:
    raw = reduced(task, np.array([logits], np.float32))
    result = task.finish(raw, PLACEMENT)
    assert isinstance(result, Classification)
    return result


@each_library
@given(logits=arrays(np.float32, (4, 7), elements=st.floats(-50, 50, width=32)))
def test_the_top_classes_are_those_of_a_naive_sort(library: str, logits: np.ndarray[Any, Any]) -> None:
    raw = reduced(task_of(num_classes=7, top_k=4), array_of(logits, library=library))
    scores = scipy.special.softmax(logits.astype(np.float64), axis=1)
    for row in range(4):
        ranked = sorted(range(7), key=lambda k, row=row: (-logits[row, k], k))[:4]  # type: ignore[misc]
        assert raw["class_ids"][row].tolist() == ranked
        np.testing.assert_allclose(raw["scores"][row], scores[row, ranked], atol=1e-6)
        assert (np.diff(raw["scores"][row]) <= 0).all()
    np.testing.assert_allclose(raw["entropy"], scipy.stats.entropy(scores, axis=1) / np.log(7), atol=1e-5)
    assert raw["finite"].all()
    assert raw["class_ids"].dtype == np.int32


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_both_libraries_give_the_same(activation: str) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (5, 9))
    logits = scipy.special.softmax(logits, axis=1) if activation == "none" else logits
    task = task_of(num_classes=9, activation=activation, top_k=9)
    first, second = (reduced(task, array_of(logits, library=library)) for library in LIBRARIES)
    assert np.array_equal(first["class_ids"], second["class_ids"])
    np.testing.assert_allclose(first["scores"], second["scores"], atol=1e-6)
    np.testing.assert_allclose(first["entropy"], second["entropy"], atol=1e-6)


def test_a_device_gives_what_numpy_gives(device: str) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (64, 1000)).astype(np.float32)
    logits[:, 500:600] = 1.0  # ties
    task = task_of(num_classes=1000, top_k=300)
    on_device = task.reduce({"logits": torch.tensor(logits, device=device)}, tile_hw=TILE)
    expected = reduced(task, logits)
    assert np.array_equal(on_device["class_ids"].cpu(), expected["class_ids"])
    np.testing.assert_allclose(on_device["scores"].cpu(), expected["scores"], atol=1e-6)


@each_library
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
def test_equal_scores_come_by_class_id(library: str, activation: str) -> None:
    raw = reduced(task_of(num_classes=5, activation=activation), array_of([[0.2, 0.7, 0.2, 0.7, 0.2]], library=library))
    assert raw["class_ids"].tolist() == [[1, 3, 0, 2, 4]]


@each_library
def test_scores_that_round_to_one_keep_their_order(library: str) -> None:
    raw = reduced(task_of(activation="sigmoid"), array_of([[20.0, 40.0, 30.0]], library=library))
    assert raw["class_ids"].tolist() == [[1, 2, 0]]
    assert raw["scores"].tolist() == [[1.0, 1.0, 1.0]]


@each_library
@pytest.mark.parametrize(
    ("logits", "finite"),
    [
        pytest.param([1e4, -1e4, 0], True, id="large"),
        pytest.param([1e4, 1e4, 1e4], True, id="large-and-equal"),
        pytest.param([np.nan, 0, 0], False, id="nan"),
        pytest.param([np.inf, 0, 0], False, id="inf"),
        pytest.param([0, -np.inf, 0], False, id="minus-inf"),
    ],
)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_what_is_not_finite_is_told(library: str, activation: str, logits: list[float], finite: bool) -> None:
    raw = reduced(task_of(activation=activation), array_of([logits, [0, 0, 0]], library=library))
    assert raw["finite"].tolist() == [finite, True]


@pytest.mark.parametrize(
    ("options", "num_scores"),
    [({}, 5), ({"top_k": 1}, 1), ({"top_k": 99}, 7)],
    ids=["default", "one", "more-than-there-are"],
)
def test_top_k(options: dict[str, int], num_scores: int) -> None:
    result = answer(task_of(num_classes=7, **options), [0, 1, 2, 3, 4, 5, 6])
    assert len(result.class_ids) == len(result.scores) == len(result.labels) == num_scores
    assert result.labels[0] == "c6"


def test_temperature_changes_confidence_and_not_the_order() -> None:
    sharp, soft = (answer(task_of(temperature=temperature), [1.0, 2.0, 3.0]) for temperature in (0.5, 5.0))
    assert sharp.labels == soft.labels == ("c2", "c1", "c0")
    np.testing.assert_allclose(soft.scores, scipy.special.softmax([0.6, 0.4, 0.2]), atol=1e-6)
    assert sharp.scores[0] > soft.scores[0]
    assert sharp.entropy < soft.entropy


@each_library
@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        pytest.param([1, 0, 0, 0], 0.0, id="certain"),
        pytest.param([0.25, 0.25, 0.25, 0.25], 1.0, id="no-idea"),
        pytest.param([0.5, 0.5, 0, 0], 0.5, id="one-of-two"),
        pytest.param([1.0], 0.0, id="one-class"),
    ],
)
def test_entropy(library: str, scores: list[float], expected: float) -> None:
    entropy = normalized_entropy(array_of([scores], library=library))
    assert numpy_of(entropy).tolist() == [pytest.approx(expected, abs=1e-6)]


@each_library
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (2, 3, 1, 1)])
def test_axes_of_one_are_dropped(library: str, shape: tuple[int, ...]) -> None:
    logits = np.arange(6.0).reshape(shape)
    assert reduced(task_of(), array_of(logits, library=library))["class_ids"].tolist() == [[2, 1, 0]] * 2


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        pytest.param(
            (2, 3, 4, 4), r"a classification model must give \(B, K\) scores, got \[2, 3, 4, 4\]; set", id="map"
        ),
        pytest.param((2,), r"a classification model must give \(B, K\) scores, got \[2\]", id="one-axis"),
        pytest.param(
            (2, 5), "classes must have one name for each of the model's 5 outputs .*got 3 names", id="classes"
        ),
    ],
)
def test_outputs_of_another_task(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        task_of().reduce({"logits": np.zeros(shape, np.float32)}, tile_hw=TILE)


def test_the_named_output_is_read() -> None:
    outputs = {"features": np.zeros((1, 99), np.float32), "logits": np.float32([[0, 2, 1]])}
    raw = task_of(name="logits").reduce(outputs, tile_hw=TILE)
    assert raw["class_ids"].tolist() == [[1, 2, 0]]


def test_a_row_holds_the_best_class_flat_and_all_nested() -> None:
    task = task_of(top_k=2)
    result = answer(task, [0.0, 2.0, 1.0])
    row = task.to_row(result)
    assert set(row) == {field.name for field in task.result_fields}
    assert (row["class_id"], row["label"], row["score"]) == (1, "c1", pytest.approx(0.66524, abs=1e-5))
    assert [entry["label"] for entry in row["top_k"]] == ["c1", "c2"]
    assert row["entropy"] == result.entropy
