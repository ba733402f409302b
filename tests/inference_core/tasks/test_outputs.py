from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from inference_core.errors import ModelError
from inference_core.tasks.outputs import (
    all_finite,
    check_num_classes,
    pick_output,
    sigmoid,
    softmax,
    to_uint8,
)
from tests.arrays import LIBRARIES, array_of, numpy_of

FLOAT32_EPS = 2**-23
LOGITS = arrays(np.float32, array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.floats(-1e4, 1e4, width=32))
each_library = pytest.mark.parametrize("library", LIBRARIES)


@each_library
@given(logits=LOGITS)
def test_softmax_is_scipys(library: str, logits: np.ndarray[Any, Any]) -> None:
    scores = numpy_of(softmax(array_of(logits, library=library)))
    assert scores.dtype == np.float32
    # exp is within a few roundings in float32, and so is the quotient of two of them.
    np.testing.assert_allclose(scores, scipy.special.softmax(logits.astype(np.float64), axis=1), atol=8 * FLOAT32_EPS)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=8 * FLOAT32_EPS)


@each_library
@given(logits=LOGITS)
def test_sigmoid_is_scipys(library: str, logits: np.ndarray[Any, Any]) -> None:
    scores = numpy_of(sigmoid(array_of(logits, library=library)))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, scipy.special.expit(logits.astype(np.float64)), atol=4 * FLOAT32_EPS)
    np.testing.assert_allclose(scores, torch.sigmoid(torch.from_numpy(logits)), atol=4 * FLOAT32_EPS)


@each_library
@pytest.mark.parametrize(
    ("logits", "scores"),
    [
        pytest.param([[1e4, -1e4]], [[1, 0]], id="far-apart"),
        pytest.param([[1e4, 1e4]], [[0.5, 0.5]], id="both-large"),
        pytest.param([[-1e4, -1e4]], [[0.5, 0.5]], id="both-small"),
        pytest.param([[0, -np.inf]], [[1, 0]], id="impossible-class"),
    ],
)
def test_softmax_of_extremes(library: str, logits: list[list[float]], scores: list[list[float]]) -> None:
    assert numpy_of(softmax(array_of(logits, library=library))).tolist() == scores


@each_library
def test_sigmoid_of_extremes(library: str) -> None:
    assert numpy_of(sigmoid(array_of([-np.inf, -1e4, 0, 1e4, np.inf], library=library))).tolist() == [0, 0, 0.5, 1, 1]


@each_library
def test_finite_is_told_for_each_item(library: str) -> None:
    values = np.zeros((4, 2, 3))
    values[1, 0, 0], values[2, 1, 2], values[3, 1, 1] = np.nan, np.inf, -np.inf
    assert numpy_of(all_finite(array_of(values, library=library))).tolist() == [True, False, False, False]
    assert numpy_of(all_finite(array_of(np.zeros((2,)), library=library))).tolist() == [True, True]


@each_library
def test_to_uint8_rounds_to_nearest(library: str) -> None:
    scores = [0, 0.4 / 255, 0.6 / 255, 1.5 / 255, 2.5 / 255, 0.5, 254.6 / 255, 1]
    assert numpy_of(to_uint8(array_of(scores, library=library))).tolist() == [0, 0, 1, 2, 2, 128, 255, 255]


@each_library
def test_to_uint8_keeps_every_level(library: str) -> None:
    levels = np.arange(256, dtype=np.uint8)
    array = to_uint8(array_of(levels / 255, library=library))
    assert np.array_equal(numpy_of(array), levels)
    assert numpy_of(array).dtype == np.uint8


@each_library
def test_to_uint8_of_what_is_no_score(library: str) -> None:
    values = array_of([-0.1, 1.1, 1e30, np.nan, np.inf, -np.inf], library=library)
    assert numpy_of(to_uint8(values)).tolist() == [0, 255, 255, 0, 0, 0]


@each_library
def test_the_first_output_is_read_unless_one_is_named(library: str) -> None:
    outputs = {"main": array_of([[1.0]], library=library), "aux": array_of([[2.0]], library=library)}
    assert pick_output(outputs, name=None) is outputs["main"]
    assert pick_output(outputs, name="aux") is outputs["aux"]


def test_an_output_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"output.name must be one of main, got 'logits'; correct model.yaml"):
        pick_output({"main": np.zeros((1, 2), np.float32)}, name="logits")


@pytest.mark.parametrize("ids", [np.zeros((1, 4), np.int64), torch.zeros((1, 4), dtype=torch.int64)], ids=LIBRARIES)
def test_class_ids_are_no_scores(ids: Any) -> None:
    with pytest.raises(ModelError, match=r"output ids must be floating-point scores, got (torch.)?int64\[1, 4\]; set"):
        pick_output({"ids": ids}, name=None)


def test_one_name_for_each_score() -> None:
    check_num_classes(2, classes=("a", "b"), shape=(1, 2))
    with pytest.raises(
        ModelError,
        match=r"classes must have one name for each of the model's 3 outputs \(shape \[1, 3\]\), got 2 names; correct",
    ):
        check_num_classes(3, classes=("a", "b"), shape=(1, 3))
