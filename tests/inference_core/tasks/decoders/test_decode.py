from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from inference_core.detection_spec import DecoderSpec
from inference_core.errors import ConfigError, ModelError
from inference_core.hook_spec import HookSpec
from inference_core.tasks.decoders.decode import decode
from inference_core.validation import DECODER_TAGS
from tests.specs import model_spec

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "yolox": {"output": (1, 21, 8)},
    "yolov5": {"output": (1, 21, 8)},
    "yolov8": {"output": (1, 7, 21)},
    "fastestdet": {"output": (1, 8, 2, 2)},
    "ssd": {"scores": (1, 6, 4), "boxes": (1, 6, 4)},
    "torchvision": {"boxes": (6, 4), "labels": (6,), "scores": (6,)},
    "detr": {"logits": (1, 6, 4), "pred_boxes": (1, 6, 4)},
    "mask2former": {"class_queries_logits": (1, 6, 4), "masks_queries_logits": (1, 6, 2, 2)},
}
OPTIONS: dict[str, dict[str, Any]] = {"ssd": {"boxes": "corners"}}


def decoded(decoder: str, outputs: dict[str, Any], **output: Any) -> Any:
    spec = model_spec(
        {"task": "detection", "output": {"decoder": {"name": decoder, **OPTIONS.get(decoder, {})}, **output}}
    )
    assert spec.output.decoder is not None
    names = {"name": spec.output.name, "names": spec.output.names}
    return decode(outputs, spec.output.decoder, **names, num_classes=3, input_hw=(32, 32))


def zeros(name: str) -> dict[str, Any]:
    return {role: np.zeros(shape, np.int64 if role == "labels" else np.float32) for role, shape in SHAPES[name].items()}


def test_messages_know_every_decoder() -> None:
    decoders = get_args(get_args(DecoderSpec)[0])
    names = {decoder.model_fields["name"].default for decoder in decoders if decoder is not HookSpec}
    assert set(DECODER_TAGS) == set(SHAPES) == names


@pytest.mark.parametrize("name", SHAPES)
def test_every_decoder_gives_candidates_of_one_form(name: str) -> None:
    found = decoded(name, zeros(name))
    count = found.scores.shape[1]
    assert (found.boxes_xyxy.shape, found.class_ids.shape) == ((1, count, 4), (1, count))
    assert (found.boxes_xyxy.dtype, found.scores.dtype, found.class_ids.dtype) == (np.float32, np.float32, np.int32)


@pytest.mark.parametrize("name", ["ssd", "torchvision", "detr", "mask2former"])
def test_outputs_with_other_names_are_found_by_theirs(name: str) -> None:
    renamed = {f"{role}:0": array for role, array in zeros(name).items()}
    with pytest.raises(ModelError, match=r"output.names.\w+ must be one of .*:0, .*, got"):
        decoded(name, renamed)
    assert decoded(name, renamed, names={role: f"{role}:0" for role in SHAPES[name]}).scores.shape[0] == 1


def test_a_decoder_of_one_output_reads_the_named_one() -> None:
    outputs = {"features": np.zeros((1, 2), np.float32), **zeros("yolov8")}
    assert decoded("yolov8", outputs, name="output").scores.shape == (1, 21)
    with pytest.raises(ModelError, match=r"output must be \(B, 7, N\)"):
        decoded("yolov8", outputs)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        pytest.param({}, "output.decoder must be given with task detection; set output.decoder", id="none"),
        pytest.param({"decoder": {"name": "yolov99"}}, "output.decoder: .*yolov99", id="unknown"),
        pytest.param(
            {"decoder": {"name": "ssd", "prior": []}}, "output.decoder.prior: .* did you mean 'priors'", id="typo"
        ),
        pytest.param(
            {"decoder": {"name": "detr"}, "name": "x"}, "output.name must be absent with a decoder of 2", id="name"
        ),
        pytest.param(
            {"decoder": {"name": "detr"}, "names": {"boxes": "x"}},
            "output.names must be logits, pred_boxes, got boxes",
            id="role",
        ),
        pytest.param(
            {"decoder": {"name": "yolox"}, "names": {"a": "b"}}, "output.names must be absent", id="roles-of-one"
        ),
        pytest.param(
            {"decoder": {"name": "yolox"}, "activation": "none"}, "output.activation must go with", id="activation"
        ),
        pytest.param(
            {"decoder": {"name": "yolox"}, "nms": {"method": "soft", "sigma": 0}},
            "nms.sigma: must be greater",
            id="nms",
        ),
        pytest.param(
            {"decoder": {"name": "yolov8", "masks": True}, "name": "output0"},
            "output.name must be absent with a decoder of 2 outputs; use output.names",
            id="name-of-two",
        ),
        pytest.param(
            {"decoder": {"name": "yolov8"}, "names": {"prototypes": "output1"}},
            "output.names must be absent with this decoder, which reads one output, got prototypes",
            id="prototypes-without-masks",
        ),
        pytest.param(
            {"decoder": {"name": "yolov5", "prototype_layout": "BHWC"}},
            "prototype_layout must go with masks",
            id="layout-of-no-prototypes",
        ),
        pytest.param(
            {"decoder": {"name": "detr"}, "mask_px": 28}, "output.mask_px must go with a decoder that", id="mask-px"
        ),
        pytest.param(
            {"decoder": {"name": "detr"}, "mask_threshold": 0.4},
            "output.mask_threshold must go with a decoder that",
            id="mask-threshold",
        ),
        pytest.param(
            {"decoder": {"name": "mask2former"}, "mask_px": 4}, "mask_px: must be greater than or equal to 8", id="few"
        ),
        pytest.param(
            {"decoder": {"name": "yolox", "masks": True}}, "output.decoder.masks: is not a known key", id="no-masks"
        ),
        pytest.param(
            {"decoder": {"name": "yolox"}, "thresholds": {"pink": 0.4}},
            "output.thresholds must name classes, got pink",
            id="threshold-of-no-class",
        ),
    ],
)
def test_a_wrong_spec_is_refused(output: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_spec({"task": "detection", "output": output})
