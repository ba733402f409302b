from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.detection_spec import TorchvisionDecoder
from inference_core.errors import ModelError
from inference_core.tasks.candidates import NO_SCORE
from inference_core.tasks.decoders.torchvision import decode_torchvision
from tests.arrays import LIBRARIES, array_of, numpy_of

BOXES = np.float32([[0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 3, 3]])
SCORES = np.float32([0.9, 0.8, 0.7])


def outputs_of(labels: list[int], *, library: str = "numpy", has_batch: bool = False) -> dict[str, Any]:
    count = len(labels)
    arrays = {"boxes": BOXES[:count], "scores": SCORES[:count]}
    arrays = {name: array[None] if has_batch else array for name, array in arrays.items()}
    outputs = {name: array_of(array, library=library) for name, array in arrays.items()}
    ids: Any = array_of([labels] if has_batch else labels, library=library)
    return outputs | {"labels": ids.long() if library == "torch" else ids.astype(np.int64)}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("has_batch", [False, True], ids=["one-image", "batch"])
def test_labels_count_from_the_first(library: str, has_batch: bool) -> None:
    outputs = outputs_of([1, 2, 0], library=library, has_batch=has_batch)
    found = decode_torchvision(outputs, TorchvisionDecoder(), num_classes=2)
    assert numpy_of(found.boxes_xyxy).tolist() == [BOXES.tolist()]
    assert numpy_of(found.class_ids).tolist() == [[0, 1, 0]]
    assert numpy_of(found.scores).tolist() == [[*SCORES[:2].tolist(), NO_SCORE]]  # label 0 is the background


def test_labels_may_count_from_zero() -> None:
    found = decode_torchvision(outputs_of([0, 1]), TorchvisionDecoder(first_label=0), num_classes=2)
    assert found.class_ids.tolist() == [[0, 1]]


@pytest.mark.parametrize("library", LIBRARIES)
def test_nothing_found(library: str) -> None:
    outputs = outputs_of([], library=library)
    assert tuple(decode_torchvision(outputs, TorchvisionDecoder(), num_classes=2).scores.shape) == (1, 0)


def test_a_label_without_a_class_is_refused() -> None:
    with pytest.raises(ModelError, match="labels must be below 3, one for each of 2 classes from 1, got 3"):
        decode_torchvision(outputs_of([1, 3]), TorchvisionDecoder(), num_classes=2)


def test_lists_of_different_length_are_refused() -> None:
    outputs = outputs_of([1, 2]) | {"scores": SCORES}
    with pytest.raises(ModelError, match=r"scores must be \(1, 2\) with decoder torchvision .* got \[1, 3\]"):
        decode_torchvision(outputs, TorchvisionDecoder(), num_classes=2)
