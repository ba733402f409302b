from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from inference_core.detection_spec import YoloxDecoder
from inference_core.errors import ModelError
from inference_core.tasks.decoders.yolox import decode_yolox
from tests.arrays import LIBRARIES, array_of, numpy_of

INPUT_HW = (40, 64)
each_library = pytest.mark.parametrize("library", LIBRARIES)


def raw_rows(*, seed: int = 0, batch: int = 2) -> np.ndarray[Any, Any]:
    """(B, N, 5 + 3): 5 x 8 cells of stride 8, then 3 x 4 of stride 16, the last row of which is begun only."""
    return np.random.default_rng(seed).normal(0.4, 0.2, (batch, 5 * 8 + 3 * 4, 8)).astype(np.float32)


@each_library
def test_rows_are_decoded_as_a_loop_over_cells_does(library: str) -> None:
    rows = raw_rows()
    options = YoloxDecoder(strides=(8, 16))
    found = decode_yolox({"o": array_of(rows, library=library)}, options, num_classes=3, input_hw=INPUT_HW)
    for image in range(2):
        index = 0
        for stride in (8, 16):
            for cell_y in range(math.ceil(INPUT_HW[0] / stride)):
                for cell_x in range(math.ceil(INPUT_HW[1] / stride)):
                    x, y, w, h, objectness, *classes = rows[image, index].astype(float)
                    cx, cy, width, height = (
                        (x + cell_x) * stride,
                        (y + cell_y) * stride,
                        math.exp(w) * stride,
                        math.exp(h) * stride,
                    )
                    expected = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
                    np.testing.assert_allclose(numpy_of(found.boxes_xyxy)[image, index], expected, atol=1e-4)
                    assert numpy_of(found.class_ids)[image, index] == int(np.argmax(classes))
                    assert numpy_of(found.scores)[image, index] == pytest.approx(objectness * max(classes), abs=1e-6)
                    index += 1
        assert index == rows.shape[1]


def test_a_graph_that_decodes_gives_pixels() -> None:
    rows = np.float32([[[10, 20, 4, 6, 0.5, 0.5, 0.25, 0]]])
    found = decode_yolox({"o": rows}, YoloxDecoder(is_decoded=True), num_classes=3, input_hw=INPUT_HW)
    assert found.boxes_xyxy.tolist() == [[[8, 17, 12, 23]]]
    assert (found.scores.tolist(), found.class_ids.tolist()) == ([[0.25]], [[0]])


def test_logits_are_activated_where_asked() -> None:
    rows = np.zeros((1, 52, 8), np.float32)
    options = YoloxDecoder(strides=(8, 16), activation="sigmoid")
    assert decode_yolox({"o": rows}, options, num_classes=3, input_hw=INPUT_HW).scores[0, 0] == 0.25


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        pytest.param((1, 51, 8), r"output must be \(B, 52, 8\) with decoder yolox .*, got \[1, 51, 8\]", id="cells"),
        pytest.param((1, 52, 9), r"output must be \(B, 52, 8\)", id="classes"),
        pytest.param((52, 8), r"output must be \(B, 52, 8\)", id="axes"),
    ],
)
def test_an_output_that_does_not_fit_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        decode_yolox(
            {"o": np.zeros(shape, np.float32)}, YoloxDecoder(strides=(8, 16)), num_classes=3, input_hw=INPUT_HW
        )
