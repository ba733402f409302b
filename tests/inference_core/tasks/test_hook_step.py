from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inference_core.errors import InferError
from inference_core.hook_spec import HookSpec
from inference_core.hooks.function import HookFunction
from inference_core.hooks.guest_values import read_only, read_only_record
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.results import Classification, Detection, Embedding, InstanceMask, MultiLabel, Result
from inference_core.tasks.hook_step import HookRecordStep, find_problems

CLASSES = ("red", "green", "blue")


def ids(*values: int) -> Any:
    return np.array(values, np.int32)


def scores(*values: float) -> Any:
    return np.array(values, np.float32)


BEST = Classification(class_ids=ids(2, 0), scores=scores(0.7, 0.2), labels=("blue", "red"), entropy=0.5)
SHOWN = MultiLabel(
    class_ids=ids(1),
    scores=scores(0.9),
    labels=("green",),
    top_class_ids=ids(1, 0),
    top_scores=scores(0.9, 0.1),
    top_labels=("green", "red"),
)
BOXES = Detection(
    boxes_xyxy=np.array([[0, 0, 4, 4], [1, 1, 2, 2], [0, 2, 9, 5]], np.float32),
    scores=scores(0.9, 0.8, 0.8),
    class_ids=ids(0, 1, 0),
    labels=("red", "green", "red"),
)
VECTOR = Embedding(vector=scores(3, 4), norm=5.0)
MASKS = tuple(InstanceMask(size_hw=(2, 2), counts="04", area_px=area) for area in (4, 5, 6))


def problem(given: Result, change: Callable[[Any], Any]) -> str | None:
    return next(find_problems(given, change(given), classes=CLASSES), None)


@pytest.mark.parametrize(
    ("given", "change"),
    [
        pytest.param(BEST, lambda r: r, id="nothing"),
        pytest.param(BEST, lambda r: replace(r, entropy=np.float32(0.1)), id="a-number-of-numpy"),
        pytest.param(BEST, lambda r: replace(r, entropy=1), id="a-whole-number"),
        pytest.param(
            BEST,
            lambda r: replace(r, class_ids=r.class_ids[:1], scores=r.scores[:1], labels=r.labels[:1]),
            id="fewer-classes",
        ),
        pytest.param(SHOWN, lambda r: replace(r, class_ids=ids(), scores=scores(), labels=()), id="no-class"),
        pytest.param(BOXES, lambda r: r.where(np.zeros(3, bool)), id="no-box"),
        pytest.param(BOXES, lambda r: replace(r, scores=r.scores * 0.5), id="other-scores"),
        pytest.param(VECTOR, lambda r: replace(r, vector=r.vector[:1]), id="shorter-vector"),
    ],
)
def test_what_a_step_may_give(given: Result, change: Callable[[Any], Any]) -> None:
    assert problem(given, change) is None


@pytest.mark.parametrize(
    ("given", "change", "message"),
    [
        pytest.param(BEST, lambda r: None, "a Classification, as it got, got NoneType", id="nothing"),
        pytest.param(BEST, lambda r: VECTOR, "a Classification, as it got, got Embedding", id="another-kind"),
        pytest.param(BEST, lambda r: replace(r, entropy=float("nan")), "a finite number as entropy, got nan", id="nan"),
        pytest.param(BEST, lambda r: replace(r, entropy="high"), "a finite number as entropy, got 'high'", id="text"),
        pytest.param(
            BEST, lambda r: replace(r, class_ids=r.class_ids.astype(int)), "class_ids as 1-D int32, got int64", id="int"
        ),
        pytest.param(
            BEST, lambda r: replace(r, scores=r.scores.tolist()), "scores as 1-D float32, got [0.69999998", id="list"
        ),
        pytest.param(BEST, lambda r: replace(r, scores=scores(np.inf, 0)), "finite scores, got inf or nan", id="inf"),
        pytest.param(BEST, lambda r: replace(r, labels=["blue", "red"]), "labels as tuple, got ['blue'", id="labels"),
        pytest.param(
            BEST, lambda r: replace(r, labels=("blue",)), "as many class_ids as scores and labels", id="count"
        ),
        pytest.param(
            BEST, lambda r: replace(r, class_ids=ids(2, 3)), "class_ids from 0 to 2, got 2 to 3", id="too-high"
        ),
        pytest.param(BEST, lambda r: replace(r, class_ids=ids(-1, 0)), "class_ids from 0 to 2, got -1", id="negative"),
        pytest.param(
            BEST, lambda r: replace(r, labels=("red", "blue")), "labels that are the names of class_ids", id="names"
        ),
        pytest.param(
            BEST, lambda r: replace(r, scores=scores(0.2, 0.7)), "scores in descending order; sort them", id="order"
        ),
        pytest.param(
            BEST,
            lambda r: replace(r, class_ids=ids(), scores=scores(), labels=()),
            "at least one class, got none",
            id="no-class",
        ),
        pytest.param(
            SHOWN,
            lambda r: replace(r, top_class_ids=ids(), top_scores=scores(), top_labels=()),
            "at least one class, got none",
            id="no-best-class",
        ),
        pytest.param(
            SHOWN, lambda r: replace(r, top_labels=("red", "green")), "top_labels that are the names", id="top-names"
        ),
        pytest.param(
            replace(BOXES, masks=MASKS), lambda r: replace(r, masks=None), "masks as tuple, got None", id="masks"
        ),
    ],
)
def test_what_a_step_must_not_give(given: Result, change: Callable[[Any], Any], message: str) -> None:
    assert (problem(given, change) or "").startswith(message)


def test_a_step_gets_arrays_that_it_cannot_change() -> None:
    for record in (BEST, SHOWN, BOXES, VECTOR):
        guest = read_only_record(record)
        assert repr(guest) == repr(record)
        arrays = [getattr(guest, name) for name in type(guest).__slots__]
        assert any(isinstance(array, np.ndarray) for array in arrays)
        assert not any(array.flags.writeable for array in arrays if isinstance(array, np.ndarray))
    own = np.zeros(3)
    view = read_only(own)
    own[0] = 1
    assert view[0] == 1
    assert own.flags.writeable


def test_a_step_calls_its_function() -> None:
    spec = HookSpec(import_path="tests.hook_functions:drop_class", options={"label": "red"})
    step = HookRecordStep(HookFunction(spec, role="step", key="postprocess", code=NO_CODE), classes=CLASSES)
    found = step(BOXES)
    assert isinstance(found, Detection)
    assert found.labels == ("green",)
    assert BOXES.labels == ("red", "green", "red")
    with pytest.raises(InferError, match=r"step tests.hook_functions:drop_class raised AttributeError: .*'where'"):
        step(BEST)


def test_numbers_of_numpy_become_plain_ones() -> None:
    code = (
        "from dataclasses import replace\nimport numpy as np\n\ndef f(r):\n    return replace(r, norm=np.float32(2))\n"
    )
    package = PackageCode(files={"f.py": code.encode()}, origin="file:///tests", is_trusted=True)
    spec = HookSpec(import_path="./f.py:f")
    found = HookRecordStep(HookFunction(spec, role="step", key="postprocess", code=package), classes=())(VECTOR)
    assert isinstance(found, Embedding)
    assert type(found.norm) is float


@pytest.mark.parametrize(
    ("is_kept", "expected"),
    [
        pytest.param(np.array([True, False, True]), [0, 2], id="mask"),
        pytest.param(np.zeros(3, bool), [], id="none"),
        pytest.param(np.array([2, 0]), [2, 0], id="positions"),
        pytest.param(np.array([], np.int64), [], id="no-positions"),
    ],
)
def test_some_objects_of_a_detection(is_kept: Any, expected: list[int]) -> None:
    found = replace(BOXES, masks=MASKS).where(is_kept)
    assert found.boxes_xyxy.tolist() == BOXES.boxes_xyxy[expected].tolist()
    assert found.scores.tolist() == BOXES.scores[expected].tolist()
    assert found.labels == tuple(BOXES.labels[index] for index in expected)
    assert found.masks == tuple(MASKS[index] for index in expected)
    assert BOXES.where(is_kept).masks is None
