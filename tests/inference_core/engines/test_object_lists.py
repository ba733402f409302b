from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from inference_core.engines.build import build_engine
from inference_core.engines.object_lists import find_objects, stack_objects
from inference_core.engines.torch_engine import name_outputs
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.results import Detection
from tests.asset_packages import write_package
from tests.bright_box import BrightBox
from tests.drawn_objects import disc, draw, drawn_package


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
    points = torch.ones(2, 17, 3)
    stacked = stack_objects([{"boxes": torch.ones(2, 4), "keypoints": points}, {"boxes": torch.ones(0, 4)}])
    assert set(stacked) == {"boxes"}
    assert stacked["boxes"].sum(dim=(1, 2)).tolist() == [8, 0]


def test_masks_are_kept_as_bytes_where_asked() -> None:
    masks = torch.tensor([0.0, 0.25, 1.0]).reshape(3, 1, 1, 1).expand(3, 1, 4, 6)
    images = [{"boxes": torch.ones(3, 4), "masks": masks}, {"boxes": torch.ones(1, 4), "masks": masks[2:]}]
    stacked = stack_objects(images)["masks"]
    assert (stacked.dtype, tuple(stacked.shape)) == (torch.uint8, (2, 3, 1, 4, 6))
    assert stacked[:, :, 0, 3, 5].tolist() == [[0, 64, 255], [255, 0, 0]]
    assert set(stack_objects(images, keeps_masks=False)) == {"boxes"}


@pytest.mark.parametrize("raw", [[], [torch.ones(1)], {"boxes": torch.ones(1, 4)}], ids=["none", "tensors", "mapping"])
def test_other_outputs_are_no_lists_of_objects(raw: object) -> None:
    assert find_objects(raw) is None


def test_a_scripted_detector_returns_its_losses_first() -> None:
    objects = [{"boxes": torch.ones(1, 4)}]
    assert find_objects(({}, objects)) is objects
    assert find_objects(({"loss": torch.ones(1)}, objects)) is None


def test_no_object_in_any_image() -> None:
    named = name_outputs([{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}] * 2)
    assert {name: tuple(value.shape) for name, value in named.items()} == {"boxes": (2, 0, 4), "scores": (2, 0)}


@pytest.mark.parametrize("masks", [True, False])
def test_masks_are_kept_only_where_the_package_reads_them(tmp_path: Path, masks: bool) -> None:
    decoder = {"name": "torchvision", "masks": masks}
    folder = drawn_package(tmp_path, "torchvision", fit={"fit": "native", "multiple_px": 8}, decoder=decoder)
    engine = build_engine(load_package(str(folder)), device="cpu", precision="fp32", num_threads=1)
    assert ("masks" in engine.run(draw((16, 24), [disc(8, 8, 5)])[0][None])) is masks
