from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference_core.errors import ConfigError, ModelError
from inference_core.prepare import plan_fit
from inference_core.results import Embedding
from inference_core.tasks.build import build_task
from inference_core.tasks.embedding import EmbeddingTask
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import model_spec

PLACEMENT = plan_fit((8, 8), fit="stretch", size_hw=(8, 8))
each_library = pytest.mark.parametrize("library", LIBRARIES)


def task_of(**output: Any) -> EmbeddingTask:
    task = build_task(model_spec({"task": "embedding", "classes": None, "output": output}))
    assert isinstance(task, EmbeddingTask)
    return task


def answer(task: EmbeddingTask, features: Any, *, library: str = "numpy") -> Embedding:
    reduced = task.reduce({"features": array_of(features, library=library)}, tile_hw=(8, 8))
    result = task.finish({name: numpy_of(array) for name, array in reduced.items()}, PLACEMENT)
    assert isinstance(result, Embedding)
    return result


@each_library
@given(features=arrays(np.float32, (1, 5), elements=st.floats(-(2.0**60), 2.0**60, width=32)))
@settings(deadline=None)  # the first example imports torch
def test_vectors_as_given_or_of_length_one(library: str, features: np.ndarray[Any, Any]) -> None:
    plain, unit = (answer(task_of(l2_normalize=flag), features, library=library) for flag in (False, True))
    np.testing.assert_array_equal(plain.vector, features[0])
    length = np.linalg.norm(features[0].astype(np.float64))
    assert plain.norm == unit.norm == pytest.approx(length, rel=1e-5)
    if length > 1e-30:
        np.testing.assert_allclose(unit.vector, features[0] / length, atol=1e-6)


@pytest.mark.parametrize("features", [[0, 0], [1e30, 0], [1e-30, 0]], ids=["zeros", "huge", "tiny"])
def test_extreme_vectors_stay_finite(features: list[float]) -> None:
    result = answer(task_of(l2_normalize=True), [features])
    assert result.vector.tolist() == [1.0 if features[0] else 0.0, 0.0]
    assert result.norm == pytest.approx(features[0], rel=1e-6)


def test_a_row_fits_the_schema() -> None:
    task = task_of()
    row = task.to_row(answer(task, np.float32([1, 2]).reshape(1, 2, 1, 1)))
    table = pa.Table.from_pylist([row], schema=pa.schema(task.result_fields))
    assert table["embedding"].to_pylist() == [[1.0, 2.0]]


def test_features_that_are_no_numbers_are_told() -> None:
    reduced = task_of().reduce({"f": np.float32([[1, np.inf], [1, 0]])}, tile_hw=(8, 8))
    assert reduced["finite"].tolist() == [False, True]


def test_a_map_of_features_is_refused() -> None:
    with pytest.raises(ModelError, match=r"must give \(B, D\) features, got \[1, 8, 2, 2\]"):
        task_of().reduce({"f": np.zeros((1, 8, 2, 2), np.float32)}, tile_hw=(8, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({}, "classes must be absent with task embedding", id="classes"),
        pytest.param(
            {"classes": None, "output": {"activation": "none"}}, "activation must go with task", id="activation"
        ),
        pytest.param(
            {"classes": None, "calibration": {"temperature": 2.0}},
            "temperature must be absent with task",
            id="temperature",
        ),
    ],
)
def test_a_wrong_spec_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_spec({"task": "embedding", **options})
