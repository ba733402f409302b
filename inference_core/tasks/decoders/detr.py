"""DETR and its kin: a set of boxes, one class or none for each."""

from __future__ import annotations

from collections.abc import Mapping

from inference_core.detection_spec import DetrDecoder
from inference_core.engines.protocol import Array
from inference_core.tasks.boxes import corners_of_centers, scale_boxes
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.scores import activate_last, best_class, check_shape, without_extra


def decode_detr(
    outputs: Mapping[str, Array], options: DetrDecoder, *, num_classes: int, input_hw: tuple[int, int]
) -> Candidates:
    """Candidates of ``logits`` (B, N, K) and ``pred_boxes`` (B, N, 4).

    Source: Carion et al., End-to-End Object Detection with Transformers, ECCV 2020; facebookresearch/detr,
    ``models/detr.py``, ``PostProcess``.
    """
    logits, boxes = outputs["logits"], outputs["pred_boxes"]
    num_columns = num_classes + (options.no_object != "none")
    check_shape(logits, ("B", "N", num_columns), decoder=options.name, role="logits")
    check_shape(boxes, ("B", logits.shape[1], 4), decoder=options.name, role="pred_boxes")
    scores = activate_last(logits, activation=options.activation)
    best, class_ids = best_class(without_extra(scores, extra=options.no_object))
    return Candidates(
        boxes_xyxy=scale_boxes(corners_of_centers(boxes), input_hw=input_hw), scores=best, class_ids=class_ids
    )
