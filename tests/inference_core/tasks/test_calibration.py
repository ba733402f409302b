from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from inference_core.errors import ConfigError, ModelError
from inference_core.tasks.build import build_task
from inference_core.tasks.calibration import (
    Activation,
    Calibration,
    activate,
    best_of,
    build_calibration,
    foreground_scores,
    interpolate,
)
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import PLAIN_INPUT, model_spec

FLOAT32_EPS = 2**-23
LOGITS = arrays(np.float32, array_shapes(min_dims=2, max_dims=4, max_side=5), elements=st.floats(-1e4, 1e4, width=32))
SCORES = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.floats(0, 1, width=32))
each_library = pytest.mark.parametrize("library", LIBRARIES)

SEGMENTATION: dict[str, Any] = {"task": "segmentation"}
VESSELS = SEGMENTATION | {"classes": ["background", "vessel"]}
MULTILABEL: dict[str, Any] = {"task": "multilabel", "output": {"activation": "sigmoid"}}
CURVE = {"x": [0.2, 0.4, 0.8], "y": [0.0, 0.5, 0.5]}


def plain(activation: Activation) -> Calibration:
    return Calibration(activation=activation, competes=activation == "softmax", is_each_own=False)


def calibration_of(options: dict[str, Any]) -> Calibration:
    return build_calibration(model_spec(options))


def given_temperature(options: dict[str, Any], temperature: Any) -> Calibration:
    return calibration_of(options | {"calibration": {"temperature": temperature}})


@each_library
@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "none"])
@given(logits=LOGITS)
def test_the_best_class_has_the_score_that_activation_gives(
    library: str, activation: Activation, logits: np.ndarray[Any, Any]
) -> None:
    array = array_of(logits, library=library)
    class_ids, best = best_of(array, calibration=plain(activation))
    scores = numpy_of(activate(array, calibration=plain(activation)))
    assert np.array_equal(numpy_of(class_ids), np.argmax(logits, axis=1))
    np.testing.assert_allclose(numpy_of(best), scores.max(axis=1), atol=8 * FLOAT32_EPS, rtol=1e-6)


@each_library
@pytest.mark.parametrize("temperature", [2.5, {"red": 0.5, "blue": 3.0}])
@pytest.mark.parametrize("activation", ["softmax", "none"])
@given(data=st.data())
def test_the_best_of_three_has_the_score_that_calibrated_activation_gives(
    library: str, temperature: Any, activation: str, data: st.DataObject
) -> None:
    elements = st.floats(0, 1, width=32) if activation == "none" else st.floats(-50, 50, width=32)
    logits = data.draw(arrays(np.float32, (2, 3, 2, 2), elements=elements))
    calibration = given_temperature(SEGMENTATION | {"output": {"activation": activation}}, temperature)
    array = array_of(logits, library=library)
    class_ids, best = best_of(array, calibration=calibration)
    scores = numpy_of(activate(array, calibration=calibration))
    assert np.array_equal(numpy_of(class_ids), np.argmax(logits, axis=1))
    np.testing.assert_allclose(numpy_of(best), scores.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


@each_library
def test_a_temperature_divides_logits(library: str) -> None:
    logits = [[1.0, 2.0, 4.0]]
    competing = activate(array_of(logits, library=library), calibration=given_temperature({}, 2.0))
    np.testing.assert_allclose(numpy_of(competing), scipy.special.softmax(np.divide(logits, 2), axis=1), atol=1e-6)
    alone = activate(array_of(logits, library=library), calibration=given_temperature(MULTILABEL, 2.0))
    np.testing.assert_allclose(numpy_of(alone), scipy.special.expit(np.divide(logits, 2)), atol=1e-6)


@each_library
def test_competing_classes_have_the_temperature_of_the_best(library: str) -> None:
    calibration = given_temperature({}, {"red": 2.0, "blue": 4.0})
    logits = np.float32([[3, 1, 0], [1, 3, 0], [1, 0, 3]])
    scores = numpy_of(activate(array_of(logits, library=library), calibration=calibration))
    np.testing.assert_allclose(scores, scipy.special.softmax(logits / [[2], [1], [4]], axis=1), atol=1e-6)


@each_library
def test_an_output_that_is_no_class_is_never_the_best(library: str) -> None:
    calibration = given_temperature({}, {"red": 2.0})
    logits = np.float32([[9, 3, 1, 0]])
    scores = numpy_of(activate(array_of(logits, library=library), calibration=calibration, skipped=1))
    np.testing.assert_allclose(scores, scipy.special.softmax(logits / 2, axis=1), atol=1e-6)


@each_library
def test_labels_have_their_own_temperature(library: str) -> None:
    calibration = given_temperature(MULTILABEL, {"red": 2.0, "blue": 0.5})
    logits = np.float32([[4, 4, 1]])
    scores = numpy_of(activate(array_of(logits, library=library), calibration=calibration))
    np.testing.assert_allclose(scores, scipy.special.expit(logits / [2, 1, 0.5]), atol=1e-6)


@each_library
def test_platt_is_the_logistic_function_of_a_line(library: str) -> None:
    logits = np.float32([[4, -1, 1]])
    shared = calibration_of(MULTILABEL | {"calibration": {"platt": {"a": 0.5, "b": -1}}})
    scores = numpy_of(activate(array_of(logits, library=library), calibration=shared))
    np.testing.assert_allclose(scores, scipy.special.expit(0.5 * logits - 1), atol=1e-6)
    own = calibration_of(MULTILABEL | {"calibration": {"platt": {"green": {"a": 2, "b": 1}}}})
    scores = numpy_of(activate(array_of(logits, library=library), calibration=own))
    np.testing.assert_allclose(scores, scipy.special.expit([[4, -1, 1]] * np.array([1, 2, 1]) + [0, 1, 0]), atol=1e-6)


@each_library
@given(scores=SCORES)
def test_isotonic_is_numpys_interpolation(library: str, scores: np.ndarray[Any, Any]) -> None:
    calibration = calibration_of(MULTILABEL | {"output": {"activation": "none"}, "calibration": {"isotonic": CURVE}})
    assert calibration.isotonic is not None
    curve = calibration.isotonic[0]
    assert curve is not None
    expected = np.interp(scores, CURVE["x"], CURVE["y"])
    found = interpolate(array_of(scores, library=library), curve)
    np.testing.assert_allclose(numpy_of(found), expected, atol=1e-5)
    np.testing.assert_allclose(
        numpy_of(activate(array_of(scores, library=library), calibration=calibration)), expected, atol=1e-5
    )


@each_library
def test_isotonic_by_class_leaves_the_others(library: str) -> None:
    options = {"output": {"activation": "none"}, "calibration": {"isotonic": {"green": CURVE}}}
    scores = np.float32([[0.3, 0.3, 0.9]])
    found = numpy_of(activate(array_of(scores, library=library), calibration=calibration_of(MULTILABEL | options)))
    np.testing.assert_allclose(found, [[0.3, 0.25, 0.9]], atol=1e-6)


@each_library
@pytest.mark.parametrize("options", [{}, MULTILABEL], ids=["competing", "alone"])
def test_scores_that_the_model_gives_are_adjusted_by_their_logits(library: str, options: dict[str, Any]) -> None:
    scores = np.float32([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]])
    calibration = given_temperature(options | {"output": {"activation": "none"}}, 2.0)
    found = numpy_of(activate(array_of(scores, library=library), calibration=calibration))
    if options:
        np.testing.assert_allclose(found[0], scipy.special.expit(scipy.special.logit(scores[0]) / 2), atol=1e-6)
    else:
        np.testing.assert_allclose(found[0], np.sqrt(scores[0]) / np.sqrt(scores[0]).sum(), atol=1e-6)
    np.testing.assert_allclose(found[1], scores[1], atol=1e-6)


@each_library
def test_without_activation_scores_are_what_the_model_gave(library: str) -> None:
    logits = array_of([[0.25, 0.75]], library=library)
    assert activate(logits, calibration=plain("none")) is logits


@each_library
@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param({"temperature": 2.0}, scipy.special.expit([-2.0, 1.0]), id="temperature"),
        pytest.param({"temperature": {"vessel": 2, "background": 4}}, scipy.special.expit([-1, 1]), id="by-class"),
        pytest.param({"platt": {"a": 0.5, "b": 1}}, scipy.special.expit([-1, 2]), id="platt"),
        pytest.param({"isotonic": CURVE}, [0.0, 0.5], id="isotonic"),
        pytest.param({"temperature": 1.0}, scipy.special.expit([-4.0, 2.0]), id="plain"),
    ],
)
@pytest.mark.parametrize("is_logit", [True, False])
def test_the_foreground_of_two_classes_has_one_score(
    library: str, declared: dict[str, Any], expected: Any, is_logit: bool
) -> None:
    plane = np.float32([-4, 2])
    given_plane = plane if is_logit else scipy.special.expit(plane)
    found = foreground_scores(
        array_of(given_plane, library=library),
        calibration=calibration_of(VESSELS | {"calibration": declared}),
        is_logit=is_logit,
    )
    np.testing.assert_allclose(numpy_of(found), expected, atol=1e-5)


@each_library
@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        pytest.param([[0, 0, 0]], 0, id="all-equal"),
        pytest.param([[1, 3, 3]], 1, id="two-best"),
        pytest.param([[-np.inf, -5, -5]], 1, id="minus-infinity"),
    ],
)
def test_ties_go_to_the_lower_class_id(library: str, logits: list[list[float]], expected: int) -> None:
    class_ids, _ = best_of(array_of(logits, library=library), calibration=plain("softmax"))
    assert numpy_of(class_ids).tolist() == [expected]


@given(logits=arrays(np.float32, (3, 3), elements=st.floats(-20, 20, width=32)), temperature=st.floats(0.1, 10))
def test_a_temperature_never_changes_the_order_of_competing_classes(
    logits: np.ndarray[Any, Any], temperature: float
) -> None:
    for declared in (temperature, {"red": temperature}):
        task = build_task(model_spec({"calibration": {"temperature": declared}}))
        raw, without = (one.reduce({"logits": logits}, tile_hw=(8, 8)) for one in (task, build_task(model_spec())))
        assert np.array_equal(raw["class_ids"], without["class_ids"])
        assert (np.diff(raw["scores"], axis=1) <= 1e-6).all()


def test_labels_come_by_calibrated_score() -> None:
    options = MULTILABEL | {"calibration": {"temperature": {"red": 10.0}}}
    raw = build_task(model_spec(options)).reduce({"logits": np.float32([[4, 2, 3]])}, tile_hw=(8, 8))
    assert raw["class_ids"].tolist() == [[2, 1, 0]]
    assert (np.diff(raw["scores"]) <= 0).all()


def test_class_ids_cannot_be_calibrated() -> None:
    task = build_task(model_spec(VESSELS | {"calibration": {"temperature": 2.0}, "input": PLAIN_INPUT}))
    with pytest.raises(ModelError, match="calibration needs a model that gives scores, got class ids"):
        task.reduce({"ids": np.zeros((1, 8, 8), np.int64)}, tile_hw=(8, 8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"calibration": {"platt": {"a": 1, "b": 2}}},
            "calibration.platt must go with scores that do not compete",
            id="platt-of-softmax",
        ),
        pytest.param({"calibration": {"isotonic": CURVE}}, "use calibration.temperature", id="isotonic-of-softmax"),
        pytest.param(
            {"calibration": {"temperature": {"pink": 2}}},
            "calibration.temperature must name classes, got pink",
            id="class",
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"temperature": 2, "platt": {"a": 1}}},
            "must have one of temperature, platt, isotonic, got temperature and platt; keep one",
            id="two-kinds",
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"platt": {"a": -1}}},
            "calibration.platt.a: must be greater than 0",
            id="falls",
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"platt": {"red": {"a": 0}}}},
            "calibration.platt.red.a: must be greater than 0",
            id="falls-for-a-class",
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"temperature": {"red": -1}}},
            "calibration.temperature.red: must be greater than 0",
            id="below-zero",
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"isotonic": {"x": [0, 1], "y": [1, 0]}}}, "y must never fall", id="y-falls"
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"isotonic": {"x": [0, 0], "y": [0, 1]}}}, "x must rise", id="x-stays"
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"isotonic": {"x": [0], "y": [0]}}}, "two at least, got 1 and 1", id="a-point"
        ),
        pytest.param(
            MULTILABEL | {"calibration": {"isotonic": {"x": [0, 2], "y": [0, 1]}}},
            "isotonic.x.1: must be less than or equal to 1",
            id="outside",
        ),
        pytest.param(
            VESSELS | {"calibration": {"platt": {"vessel": {"a": 1}}}},
            "calibration.platt must be one for all classes with task segmentation",
            id="platt-by-class-of-two",
        ),
        pytest.param({"calibration": {"temprature": 2}}, "did you mean 'temperature'", id="misspelt"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        model_spec(options)
    assert message in str(caught.value)


def test_classes_may_be_called_as_the_keys_of_a_curve() -> None:
    spec = model_spec(MULTILABEL | {"classes": ["a", "b"], "calibration": {"platt": {"a": {"a": 2}, "b": {"a": 3}}}})
    assert spec.calibration.named_classes == ("a", "b")
