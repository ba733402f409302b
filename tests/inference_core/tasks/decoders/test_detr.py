from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

from inference_core.detection_spec import DetrDecoder
from inference_core.errors import ModelError
from inference_core.tasks.decoders.detr import decode_detr
from tests.arrays import LIBRARIES, array_of, numpy_of

LOGITS = np.random.default_rng(0).normal(0, 2, (2, 5, 4)).astype(np.float32)
BOXES = np.random.default_rng(1).uniform(0.2, 0.6, (2, 5, 4)).astype(np.float32)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("options", "classes"),
    [
        pytest.param({}, slice(0, 3), id="last"),
        pytest.param({"no_object": "first"}, slice(1, 4), id="first"),
        pytest.param({"no_object": "none", "activation": "sigmoid"}, slice(0, 4), id="sigmoid"),
    ],
)
def test_scores_and_boxes_are_those_of_the_formula(library: str, options: dict[str, Any], classes: slice) -> None:
    outputs = {"logits": array_of(LOGITS, library=library), "pred_boxes": array_of(BOXES, library=library)}
    num_classes = classes.stop - classes.start
    found = decode_detr(outputs, DetrDecoder(**options), num_classes=num_classes, input_hw=(50, 80))
    is_sigmoid = options.get("activation") == "sigmoid"
    scores = scipy.special.expit(LOGITS) if is_sigmoid else scipy.special.softmax(LOGITS, axis=-1)
    np.testing.assert_allclose(numpy_of(found.scores), scores[..., classes].max(axis=-1), atol=1e-6)
    assert numpy_of(found.class_ids).tolist() == scores[..., classes].argmax(axis=-1).tolist()
    cx, cy, w, h = (BOXES[..., k].astype(float) for k in range(4))
    expected = [(cx - w / 2) * 80, (cy - h / 2) * 50, (cx + w / 2) * 80, (cy + h / 2) * 50]
    np.testing.assert_allclose(numpy_of(found.boxes_xyxy), np.stack(expected, axis=-1), atol=1e-4)


@pytest.mark.parametrize(
    ("logits", "boxes", "message"),
    [
        pytest.param((1, 5, 3), (1, 5, 4), r"logits must be \(B, N, 4\) with decoder detr", id="classes"),
        pytest.param((1, 5, 4), (1, 4, 4), r"pred_boxes must be \(B, 5, 4\)", id="counts"),
    ],
)
def test_outputs_that_do_not_fit_are_refused(logits: Any, boxes: Any, message: str) -> None:
    outputs = {"logits": np.zeros(logits, np.float32), "pred_boxes": np.zeros(boxes, np.float32)}
    with pytest.raises(ModelError, match=message):
        decode_detr(outputs, DetrDecoder(), num_classes=3, input_hw=(8, 8))
