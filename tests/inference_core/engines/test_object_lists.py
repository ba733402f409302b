from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inference_core.engines.object_lists import is_object_list, stack_objects
from inference_core.engines.torch_engine import name_outputs
from inference_core.predictor import Predictor
from inference_core.records import Detection
from tests.asset_packages import write_package
from tests.bright_box import BrightBox


def test_a_detector_that_returns_lists_predicts_a_batch(tmp_path: Path) -> None:
    torch.save(BrightBox().state_dict(), tmp_path / "model.pt")
    spec = {
        "name": "bright",
        "task": "detection",
        "format": "state_dict",
        "weights": "model.pt",
        "architecture": {"import": "tests.bright_box:BrightBox"},
        "classes": ["dark", "bright"],
        "input": {"fit": "native", "multiple_px": 8},
        "output": {"decoder": {"name": "torchvision"}, "nms": {"method": "none"}},
    }
    images = np.zeros((3, 16, 24, 3), np.uint8)
    images[0, 2:5, 3:9] = 255
    images[2, 10:16, 20:24] = 255
    predictor = Predictor.load(str(write_package(tmp_path, spec)), device="cpu", batch_size=3)
    results = [prediction.result for prediction in predictor.predict_batch(list(images))]
    assert all(isinstance(result, Detection) for result in results)
    assert [result.boxes_xyxy.tolist() for result in results] == [[[3, 2, 9, 5]], [], [[20, 10, 24, 16]]]  # type: ignore[union-attr]
    assert [result.labels for result in results] == [("bright",), (), ("bright",)]  # type: ignore[union-attr]


def test_images_are_filled_up_to_the_most_objects() -> None:
    boxes = [torch.ones(2, 4), torch.ones(0, 4)]
    masks = torch.ones(2, 1, 8, 8)
    stacked = stack_objects([{"boxes": boxes[0], "masks": masks}, {"boxes": boxes[1], "masks": masks[:0]}])
    assert set(stacked) == {"boxes"}
    assert stacked["boxes"].sum(dim=(1, 2)).tolist() == [8, 0]


@pytest.mark.parametrize("raw", [[], [torch.ones(1)], {"boxes": torch.ones(1, 4)}], ids=["none", "tensors", "mapping"])
def test_other_outputs_are_no_lists_of_objects(raw: object) -> None:
    assert not is_object_list(raw)


def test_no_object_in_any_image() -> None:
    named = name_outputs([{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}] * 2)
    assert {name: tuple(value.shape) for name, value in named.items()} == {"boxes": (2, 0, 4), "scores": (2, 0)}
