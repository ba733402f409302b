from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from inference_core.detection_spec import PriorLevel, SsdDecoder
from inference_core.errors import ConfigError, ModelError
from inference_core.tasks.decoders.ssd import decode_ssd, prior_boxes
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.specs import model_spec

each_library = pytest.mark.parametrize("library", LIBRARIES)
LEVELS = (PriorLevel(stride=8, sizes_hw=((4, 8), (16, 16))), PriorLevel(stride=16, sizes_hw=((20, 10),)))
ULTRAFACE = (  # Source: Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, vision/ssd/config/fd_config.py
    PriorLevel(stride=8, sizes_hw=((10, 10), (16, 16), (24, 24))),
    PriorLevel(stride=16, sizes_hw=((32, 32), (48, 48))),
    PriorLevel(stride=32, sizes_hw=((64, 64), (96, 96))),
    PriorLevel(stride=64, sizes_hw=((128, 128), (192, 192), (256, 256))),
)


def test_priors_stand_level_by_level_and_row_by_row() -> None:
    priors = prior_boxes(LEVELS, input_hw=(12, 16))
    assert priors.tolist() == [
        *([x, y, w, h] for y in (4, 12) for x in (4, 12) for w, h in ((8, 4), (16, 16))),
        [8, 8, 10, 20],
    ]


@each_library
def test_boxes_that_were_encoded_come_back(library: str) -> None:
    options = SsdDecoder(priors=LEVELS, variances=(0.1, 0.3))
    priors = prior_boxes(LEVELS, input_hw=(12, 16)).astype(float)
    random = np.random.default_rng(0)
    centers, sizes = random.uniform(0, 16, (2, 9, 2)), random.uniform(1, 16, (2, 9, 2))
    offsets = [(centers - priors[:, :2]) / priors[:, 2:] / 0.1, np.log(sizes / priors[:, 2:]) / 0.3]
    outputs = {
        "boxes": array_of(np.concatenate(offsets, axis=-1), library=library),
        "scores": array_of(random.random((2, 9, 3)), library=library),
    }
    found = decode_ssd(outputs, options, num_classes=2, input_hw=(12, 16))
    expected = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=-1)
    np.testing.assert_allclose(numpy_of(found.boxes_xyxy), expected, atol=1e-4)


@pytest.mark.assets
def test_offsets_are_decoded_as_the_graph_of_a_real_detector_does(assets: Path) -> None:
    graph = onnx.load(assets / "models" / "detection" / "ultraface_slim_320.onnx")
    (join,) = [node for node in graph.graph.node if list(node.output) == ["375"]]
    assert join.op_type == "Concat"  # of the offsets of all levels
    graph.graph.output.append(helper.make_tensor_value_info("375", onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    image = np.random.default_rng(0).uniform(-1, 1, (1, 3, 240, 320)).astype(np.float32)
    scores, boxes, offsets = session.run(["scores", "boxes", "375"], {"input": image})
    found = decode_ssd(
        {"scores": scores, "boxes": offsets},
        SsdDecoder(priors=ULTRAFACE, cells="input", clip_priors=True),
        num_classes=1,
        input_hw=(240, 320),
    )
    relative = found.boxes_xyxy / np.float32([320, 240, 320, 240])
    np.testing.assert_allclose(relative, boxes, atol=1e-5)  # float32 on both sides, in another order of operations
    np.testing.assert_array_equal(found.scores, scores[..., 1])


@pytest.mark.parametrize(
    ("background", "scores", "score", "class_id"),
    [
        pytest.param("first", [0.9, 0.1, 0.4], 0.4, 1, id="first"),
        pytest.param("last", [0.3, 0.1, 0.9], 0.3, 0, id="last"),
        pytest.param("none", [0.3, 0.9], 0.9, 1, id="none"),
    ],
)
def test_the_background_is_no_class(background: Any, scores: list[float], score: float, class_id: int) -> None:
    options = SsdDecoder(boxes="corners", background=background)
    outputs = {"scores": np.float32([[scores]]), "boxes": np.float32([[[0, 0.25, 0.5, 1]]])}
    found = decode_ssd(outputs, options, num_classes=2, input_hw=(40, 20))
    assert (found.scores.tolist(), found.class_ids.tolist()) == ([[pytest.approx(score)]], [[class_id]])
    assert found.boxes_xyxy.tolist() == [[[0, 10, 10, 40]]]


def test_corners_in_pixels_stay() -> None:
    outputs = {"scores": np.float32([[[0.1, 0.9]]]), "boxes": np.float32([[[1, 2, 3, 4]]])}
    options = SsdDecoder(boxes="corners", units="pixels")
    assert decode_ssd(outputs, options, num_classes=1, input_hw=(40, 20)).boxes_xyxy.tolist() == [[[1, 2, 3, 4]]]


@pytest.mark.parametrize(("activation", "score"), [("softmax", 0.75), ("sigmoid", 0.75), ("none", np.log(3))])
def test_activations(activation: Any, score: float) -> None:
    outputs = {"scores": np.float32([[[0, np.log(3)]]]), "boxes": np.zeros((1, 1, 4), np.float32)}
    found = decode_ssd(outputs, SsdDecoder(boxes="corners", activation=activation), num_classes=1, input_hw=(8, 8))
    assert found.scores[0, 0] == pytest.approx(score)


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        pytest.param({"boxes": "corners"}, [(1, 5, 2), (1, 5, 4)], r"scores must be \(B, N, 3\)", id="classes"),
        pytest.param({"boxes": "corners"}, [(1, 5, 3), (1, 6, 4)], r"boxes must be \(B, 5, 4\)", id="counts"),
        pytest.param({"priors": LEVELS}, [(1, 5, 3), (1, 5, 4)], r"boxes must be \(B, 9, 4\)", id="priors"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(options: dict[str, Any], shapes: list[Any], message: str) -> None:
    outputs = {name: np.zeros(shape, np.float32) for name, shape in zip(("scores", "boxes"), shapes, strict=True)}
    with pytest.raises(ModelError, match=message):
        decode_ssd(outputs, SsdDecoder(**options), num_classes=2, input_hw=(12, 16))


@pytest.mark.parametrize(
    "decoder", [{"name": "ssd"}, {"name": "ssd", "boxes": "corners", "priors": [{"stride": 8, "sizes_hw": [[8, 8]]}]}]
)
def test_priors_go_with_offsets(decoder: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"output\.decoder\.ssd: priors must be given with boxes offsets, and only there"
    ):
        model_spec({"task": "detection", "output": {"decoder": decoder}})
