from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_core.errors import ConfigError
from inference_core.importing.detection_facts import draft_detection
from inference_core.importing.draft import Draft
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings

SIZE_HW = (64, 96)
CELLS = 8 * 12 + 4 * 6 + 2 * 3
RANDOM = np.random.default_rng(0)
LABELS = 6


def noise(*shape: int) -> NDArray[np.float32]:
    return np.float32(RANDOM.normal(size=shape))


def shares(*shape: int, axis: int = -1) -> NDArray[np.float32]:
    powers = np.exp(RANDOM.normal(size=shape))
    return np.float32(powers / powers.sum(axis=axis, keepdims=True))


def pixels(*shape: int) -> NDArray[np.float32]:
    """Positive values as large as the input."""
    return np.float32(RANDOM.uniform(0, 96, size=shape))


def corners(count: int, *, scale: float = 1.0) -> NDArray[np.float32]:
    first = RANDOM.uniform(0, 0.5, (3, count, 2))
    return np.float32(np.concatenate([first, first + RANDOM.uniform(0.1, 0.5, (3, count, 2))], axis=-1) * scale)


def fastestdet_map() -> NDArray[np.float32]:
    objectness, boxes = RANDOM.uniform(size=(3, 1, 4, 6)), RANDOM.normal(size=(3, 4, 4, 6))
    return np.float32(np.concatenate([objectness, boxes, shares(3, LABELS, 4, 6, axis=1)], axis=1))


def drafted(outputs: dict[str, NDArray[Any]], given: dict[str, Any] | None = None) -> Draft | None:
    return draft_detection(outputs, size_hw=SIZE_HW, given=given or {})


Outputs = dict[str, NDArray[Any]]
CASES: dict[str, tuple[Outputs, dict[str, Any], dict[str, str]]] = {
    "yolov8": ({"output0": pixels(3, 4 + LABELS, CELLS)}, {"name": "yolov8"}, {}),
    "yolov8 in shares": (
        {"output0": pixels(3, 4 + LABELS, CELLS) / 96},
        {"name": "yolov8", "units": "relative"},
        {},
    ),
    "yolov5": ({"output0": pixels(3, 3 * CELLS, 5 + LABELS)}, {"name": "yolov5"}, {}),
    "yolox": ({"output": noise(3, CELLS, 5 + LABELS)}, {"name": "yolox", "is_decoded": False}, {}),
    "yolox decoded": ({"output": pixels(3, CELLS, 5 + LABELS)}, {"name": "yolox", "is_decoded": True}, {}),
    "fastestdet": ({"output": fastestdet_map()}, {"name": "fastestdet"}, {}),
    "detr": ({"logits": noise(3, 20, LABELS + 1), "pred_boxes": shares(3, 20, 4)}, {"name": "detr"}, {}),
    "detr with other names": (
        {"boxes": shares(3, 20, 4), "cls": noise(3, 20, LABELS + 1)},
        {"name": "detr"},
        {"logits": "cls", "pred_boxes": "boxes"},
    ),
    "ssd with corners": (
        {"scores": shares(3, 2000, LABELS + 1), "boxes": corners(2000)},
        {"name": "ssd", "activation": "none", "boxes": "corners"},
        {},
    ),
    "ssd with corners in pixels": (
        {"scores": shares(3, 2000, LABELS + 1), "boxes": corners(2000, scale=96)},
        {"name": "ssd", "activation": "none", "boxes": "corners", "units": "pixels"},
        {},
    ),
    "yolov8 with masks": (
        {"output0": pixels(3, 4 + LABELS + 5, CELLS), "output1": noise(3, 5, 16, 24)},
        {"name": "yolov8", "masks": True},
        {"output": "output0", "prototypes": "output1"},
    ),
    "yolov5 with masks last": (
        {"output1": noise(3, 16, 24, 5), "output0": pixels(3, 3 * CELLS, 5 + LABELS + 5)},
        {"name": "yolov5", "masks": True, "prototype_layout": "BHWC"},
        {"output": "output0", "prototypes": "output1"},
    ),
}


@pytest.mark.parametrize(("outputs", "decoder", "names"), CASES.values(), ids=CASES.keys())
def test_outputs_tell_the_decoder(outputs: Outputs, decoder: dict[str, Any], names: dict[str, str]) -> None:
    draft = drafted(outputs)
    assert draft is not None
    facts = {fact.key: fact.value for fact in draft.assumed}
    assert draft.found == ()  # shapes are evidence, not proof
    assert (facts["task"], facts["output.decoder"], facts.get("output.names", {})) == ("detection", decoder, names)
    (missing,) = draft.missing
    assert f"{LABELS} of them" in missing.reason
    build_settings(ModelSpec, spec_of(draft), origin="test")


def spec_of(draft: Draft) -> dict[str, Any]:
    """A whole ``model.yaml`` of a draft."""
    base = {"name": "x", "format": "onnx", "weights": "x.onnx", "classes": [str(index) for index in range(LABELS)]}
    return {**base, "input": {"fit": "stretch", "size_hw": list(SIZE_HW)}, **draft.settings()}


def test_final_boxes() -> None:
    outputs = {"boxes": corners(5), "labels": np.ones((3, 5), np.int64), "scores": noise(3, 5)}
    draft = drafted(outputs)
    assert draft is not None
    facts = {fact.key: fact.value for fact in draft.assumed}
    assert (facts["output.decoder"], facts["output.nms.method"]) == ({"name": "torchvision"}, "none")
    assert [gap.key for gap in draft.missing] == ["classes"]


def test_offsets_leave_the_priors_to_be_said() -> None:
    draft = drafted({"scores": noise(3, 2000, 7), "boxes": noise(3, 2000, 4)})
    assert draft is not None
    assert [gap.key for gap in draft.missing] == ["output.decoder.priors", "classes"]


@pytest.mark.parametrize(
    "outputs",
    [
        {"out": noise(3, 10)},
        {"out": noise(3, CELLS + 1, 85)},
        {"out": noise(3, 85, 4, 6)},
        {"out": noise(3, CELLS, 4)},
        {"a": noise(3, 5), "b": noise(3, 5)},
        {"a": noise(3, 5, 4), "b": noise(3, 6, 4)},
        {"a": noise(3, 5, 4), "b": noise(3, 5), "c": noise(3, 5)},
    ],
    ids=["scores", "other-cells", "planes", "boxes-alone", "two-scores", "other-counts", "no-labels"],
)
def test_other_outputs_are_no_detectors(outputs: Outputs) -> None:
    assert drafted(outputs) is None


@pytest.mark.parametrize("given", [{"task": "detection"}, {"output.decoder.name": "yolox"}], ids=["task", "decoder"])
def test_a_detector_by_the_users_word_alone(given: dict[str, Any]) -> None:
    draft = drafted({"out": noise(3, 10, 85)}, given)
    assert draft is not None
    assert [gap.key for gap in draft.missing] == ["output.decoder", "classes"]
    assert "out [10, 85]" in draft.missing[0].reason


@pytest.mark.parametrize(
    ("case", "given", "count"),
    [
        ("yolox decoded", {"output.decoder.name": "yolov8", "output.decoder.layout": "BNC"}, LABELS + 1),
        ("ssd with corners", {"output.decoder.background": "none"}, LABELS + 1),
        ("detr", {"output.decoder.no_object": "none"}, LABELS + 1),
    ],
    ids=["another-decoder", "no-background", "no-no-object"],
)
def test_the_users_decoder_says_how_many_classes_there_are(case: str, given: dict[str, Any], count: int) -> None:
    draft = drafted(CASES[case][0], {**given, "classes": [str(index) for index in range(count)]})
    assert draft is not None
    assert draft.missing == ()


def test_another_number_of_names_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"one name for each of the model's 6 classes, got 2"):
        drafted(CASES["yolov8"][0], {"classes": ["a", "b"]})
