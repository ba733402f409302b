from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from inference_core.detection_spec import Mask2formerDecoder
from inference_core.errors import ModelError
from inference_core.prepare import plan_fit
from inference_core.results import Detection
from inference_core.tasks.build import build_task
from inference_core.tasks.candidates import NO_SCORE
from inference_core.tasks.decoders.mask2former import boxes_of_masks, decode_mask2former
from tests.arrays import LIBRARIES, array_of, numpy_of
from tests.drawn_objects import mask_iou
from tests.specs import model_spec

each_library = pytest.mark.parametrize("library", LIBRARIES)


def decoded(logits: Any, masks: Any, *, library: str = "numpy", **options: Any) -> Any:
    outputs = {"class_queries_logits": logits, "masks_queries_logits": masks}
    arrays = {name: array_of(values, library=library) for name, values in outputs.items()}
    return decode_mask2former(arrays, Mask2formerDecoder(**options), num_classes=2, input_hw=(40, 80))


@each_library
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([[1, 1, 1, 1], [1, 1, 1, 1]], [0, 0, 80, 40], id="all"),
        pytest.param([[-1, 1, -1, -1], [-1, -1, -1, -1]], [20, 0, 40, 20], id="one-pixel"),
        pytest.param([[-1, 3, -3, -3], [-1, -1, -1, -1]], [15, 0, 45, 25], id="between-centres"),
        pytest.param([[-1, -1, -1, 2], [3, -1, -1, -1]], [0, 0, 80, 40], id="corners"),
    ],
)
def test_a_box_ends_where_logits_are_zero(library: str, rows: list[list[float]], expected: list[float]) -> None:
    boxes = boxes_of_masks(array_of([[rows]], library=library), input_hw=(40, 80))
    np.testing.assert_allclose(numpy_of(boxes)[0, 0], expected, atol=1e-4)


@each_library
def test_the_score_is_that_of_class_and_mask(library: str) -> None:
    masks = np.full((1, 3, 2, 4), -2.0)
    masks[0, 0, 0, :2] = [1.0, 3.0]
    masks[0, 1, 1, 3] = 4.0
    found = decoded([[[2, 0, 0], [0, 0, 5], [0, 9, 0]]], masks, library=library)
    first = np.exp(2) / (np.exp(2) + 2) * np.mean(1 / (1 + np.exp([-1.0, -3.0])))
    second = 1 / (np.exp(5) + 2) / (1 + np.exp(-4.0))
    np.testing.assert_allclose(numpy_of(found.scores), [[first, second, NO_SCORE]], rtol=1e-5)
    assert numpy_of(found.class_ids).tolist() == [[0, 0, 1]]
    assert numpy_of(found.boxes_xyxy)[0, 2].tolist() == [0, 0, 0, 0]  # a mask without pixels is no object


def test_no_object_may_come_first() -> None:
    found = decoded([[[9, 0, 1], [0, 0, 9]]], np.ones((1, 2, 2, 2)), no_object="first")
    assert found.class_ids.tolist() == [[1, 1]]
    assert (found.scores[0] > 0.5).tolist() == [False, True]


@each_library
@pytest.mark.parametrize("where", ["class_queries_logits", "masks_queries_logits"])
def test_what_is_no_number_is_no_empty_mask(library: str, where: str) -> None:
    logits, masks = np.zeros((1, 1, 3)), np.full((1, 1, 2, 2), -1.0)
    (logits if where == "class_queries_logits" else masks)[..., 0] = np.nan
    assert np.isnan(numpy_of(decoded(logits, masks, library=library).scores)).all()


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ModelError, match=r"class_queries_logits must be \(B, N, 3\) with decoder mask2former"):
        decoded(np.zeros((1, 2, 4)), np.zeros((1, 2, 3, 3)))
    with pytest.raises(ModelError, match=r"masks_queries_logits must be \(B, 2, h, w\) with decoder mask2former"):
        decoded(np.zeros((1, 2, 3)), np.zeros((1, 3, 3, 3)))


def mask2former() -> Any:
    """A Mask2Former of transformers with a few random weights."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(
        embed_dim=16,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        num_labels=3,
        num_queries=12,
        hidden_dim=32,
        feature_size=32,
        mask_feature_size=32,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Mask2FormerForUniversalSegmentation(config).eval()


def test_answers_are_those_of_transformers() -> None:
    from tests.torchvision_shim import import_torchvision

    pytest.importorskip("transformers")
    import_torchvision()
    from transformers import Mask2FormerImageProcessor

    with torch.no_grad():
        outputs = mask2former()(pixel_values=torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)))
    # Random weights say next to nothing: made decided, so that a query has one class and a mask an outline.
    logits, masks = outputs.class_queries_logits, outputs.masks_queries_logits
    outputs.class_queries_logits = (logits - logits.mean(dim=1, keepdim=True)) * 400
    outputs.masks_queries_logits = (masks - masks.mean(dim=(2, 3), keepdim=True)) * 60
    (theirs,) = Mask2FormerImageProcessor().post_process_instance_segmentation(
        outputs, threshold=0.4, target_sizes=[(128, 192)], return_binary_maps=True
    )
    output = {"decoder": {"name": "mask2former"}, "nms": {"method": "none"}, "threshold": 0.4}
    task = build_task(model_spec({"task": "detection", "output": output}))
    raw = task.reduce(
        {name: outputs[name] for name in ("class_queries_logits", "masks_queries_logits")}, tile_hw=(64, 96)
    )
    placement = plan_fit((128, 192), fit="stretch", size_hw=(64, 96))
    arrays = {name: numpy_of(array) for name, array in raw.items() if name != "finite"}
    ours = task.finish(arrays, placement)
    assert isinstance(ours, Detection)
    assert ours.masks is not None
    infos = theirs["segments_info"]
    assert 3 <= len(infos) == len(ours.masks)
    pairs = [max_iou(mask.to_array(), theirs["segmentation"].numpy() == 1) for mask in ours.masks]
    assert sorted(index for index, _ in pairs) == list(range(len(infos)))
    # The masks are noise of 16 x 24 values; theirs take the nearest of 384 x 384 pixels, and agree to 0.95 with exact
    # interpolation themselves.
    assert min(iou for _, iou in pairs) > 0.93
    exact = F.interpolate(outputs.masks_queries_logits, size=(128, 192), mode="bilinear")[0].numpy() > 0
    assert min(max_iou(mask.to_array(), exact)[1] for mask in ours.masks) > 0.96
    assert ours.class_ids.tolist() == [infos[index]["label_id"] for index, _ in pairs]
    np.testing.assert_allclose(ours.scores, [infos[index]["score"] for index, _ in pairs], atol=0.1)
    # Theirs averages over masks that were scaled to 384 x 384: over the same, ours is the same.
    masks = F.interpolate(outputs.masks_queries_logits, size=(384, 384), mode="bilinear")
    scaled = {"class_queries_logits": outputs.class_queries_logits, "masks_queries_logits": masks}
    found = decode_mask2former(scaled, Mask2formerDecoder(), num_classes=3, input_hw=(64, 96))
    scores = sorted(score for score in found.scores[0].tolist() if score >= 0.4)
    np.testing.assert_allclose(scores, sorted(info["score"] for info in infos), atol=1e-5)


def max_iou(mask: Any, others: Any) -> tuple[int, float]:
    """The other mask that is most like one, and how much so."""
    ious = [mask_iou(mask, other) for other in others]
    return int(np.argmax(ious)), max(ious)
