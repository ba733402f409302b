from __future__ import annotations

import math

import numpy as np
import pytest

from inference_core.detection_spec import FastestdetDecoder
from inference_core.errors import ModelError
from inference_core.tasks.decoders.fastestdet import decode_fastestdet
from tests.arrays import LIBRARIES, array_of, numpy_of


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_map_is_decoded_as_a_loop_over_cells_does(library: str) -> None:
    output = np.random.default_rng(0).uniform(0, 1, (2, 5 + 3, 4, 6)).astype(np.float32)
    outputs = {"o": array_of(output, library=library)}
    found = decode_fastestdet(outputs, FastestdetDecoder(), num_classes=3, input_hw=(64, 120))
    assert tuple(found.scores.shape) == (2, 24)
    for image in range(2):
        for row in range(4):
            for column in range(6):
                objectness, x, y, w, h, *classes = output[image, :, row, column].astype(float)
                cx, cy = (math.tanh(x) + column) / 6 * 120, (math.tanh(y) + row) / 4 * 64
                width, height = 120 / (1 + math.exp(-w)), 64 / (1 + math.exp(-h))
                expected = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
                index = row * 6 + column
                np.testing.assert_allclose(numpy_of(found.boxes_xyxy)[image, index], expected, atol=1e-4)
                score = objectness**0.6 * max(classes) ** 0.4
                assert numpy_of(found.scores)[image, index] == pytest.approx(score, abs=1e-5)
                assert numpy_of(found.class_ids)[image, index] == int(np.argmax(classes))


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"output must be \(B, 8, h, w\) with decoder fastestdet"):
        decode_fastestdet(
            {"o": np.zeros((1, 9, 2, 2), np.float32)}, FastestdetDecoder(), num_classes=3, input_hw=(8, 8)
        )
