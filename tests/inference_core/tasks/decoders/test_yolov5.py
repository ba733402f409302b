from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.detection_spec import Yolov5Decoder
from inference_core.errors import ModelError
from inference_core.tasks.decoders.yolov5 import decode_yolov5
from tests.arrays import LIBRARIES, array_of, numpy_of

ROWS = np.float32([[[10, 20, 4, 6, 0.5, 0.25, 0.75], [1, 1, 2, 2, 1.0, 0.5, 0.5]]])  # (1, 2, 5 + 2)
BOXES, SCORES, CLASS_IDS = [[[8, 17, 12, 23], [0, 0, 2, 2]]], [[0.375, 0.5]], [[1, 0]]
each_library = pytest.mark.parametrize("library", LIBRARIES)


@each_library
@pytest.mark.parametrize(
    ("options", "rows"),
    [
        pytest.param({}, ROWS, id="rows"),
        pytest.param({"layout": "BCN"}, ROWS.transpose(0, 2, 1), id="columns"),
        pytest.param({"units": "relative"}, ROWS / np.float32([64, 32, 64, 32, 1, 1, 1]), id="relative"),
        pytest.param({}, ROWS[:, :0], id="no-boxes"),
    ],
)
def test_every_layout_gives_the_same(library: str, options: dict[str, Any], rows: np.ndarray[Any, Any]) -> None:
    outputs = {"o": array_of(rows, library=library)}
    found = decode_yolov5(outputs, Yolov5Decoder(**options), num_classes=2, input_hw=(32, 64))
    count = 2 if rows.size else 0
    assert numpy_of(found.boxes_xyxy)[0].tolist() == BOXES[0][:count]
    assert numpy_of(found.scores)[0].tolist() == SCORES[0][:count]
    assert numpy_of(found.class_ids)[0].tolist() == CLASS_IDS[0][:count]


def test_logits_are_activated_where_asked() -> None:
    options = Yolov5Decoder(activation="sigmoid")
    found = decode_yolov5({"o": np.zeros((1, 1, 7), np.float32)}, options, num_classes=2, input_hw=(32, 64))
    assert found.scores.tolist() == [[0.25]]


def test_a_transposed_output_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"output must be \(B, N, 7\) with decoder yolov5 .* got \[1, 7, 2\]"):
        decode_yolov5({"o": ROWS.transpose(0, 2, 1)}, Yolov5Decoder(), num_classes=2, input_hw=(32, 64))
