from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.detection_spec import Yolov8Decoder
from inference_core.errors import ModelError
from inference_core.tasks.decoders.yolov8 import decode_yolov8
from tests.arrays import LIBRARIES, array_of, numpy_of

ROWS = np.float32([[[10, 20, 4, 6, 0.25, 0.75], [1, 1, 2, 2, 0.5, 0.5]]])  # (1, 2, 4 + 2)
each_library = pytest.mark.parametrize("library", LIBRARIES)


@each_library
@pytest.mark.parametrize(
    ("options", "output"),
    [
        pytest.param({}, ROWS.transpose(0, 2, 1), id="columns"),
        pytest.param({"layout": "BNC"}, ROWS, id="rows"),
        pytest.param(
            {"units": "relative"}, (ROWS / np.float32([64, 32, 64, 32, 1, 1])).transpose(0, 2, 1), id="relative"
        ),
    ],
)
def test_every_layout_gives_the_same(library: str, options: dict[str, Any], output: np.ndarray[Any, Any]) -> None:
    outputs = {"o": array_of(output, library=library)}
    found = decode_yolov8(outputs, Yolov8Decoder(**options), num_classes=2, input_hw=(32, 64))
    assert numpy_of(found.boxes_xyxy).tolist() == [[[8, 17, 12, 23], [0, 0, 2, 2]]]
    assert numpy_of(found.scores).tolist() == [[0.75, 0.5]]
    assert numpy_of(found.class_ids).tolist() == [[1, 0]]


def test_logits_are_activated_where_asked() -> None:
    options = Yolov8Decoder(activation="sigmoid")
    found = decode_yolov8({"o": np.zeros((1, 6, 1), np.float32)}, options, num_classes=2, input_hw=(32, 64))
    assert found.scores.tolist() == [[0.5]]


def test_objectness_is_none_of_the_classes() -> None:
    with pytest.raises(ModelError, match=r"output must be \(B, 6, N\) with decoder yolov8 .* got \[1, 7, 2\]"):
        decode_yolov8({"o": np.zeros((1, 7, 2), np.float32)}, Yolov8Decoder(), num_classes=2, input_hw=(32, 64))
