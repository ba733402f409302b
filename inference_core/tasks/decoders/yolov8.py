"""YOLOv8 and its kin (v9, v11): boxes without objectness, decoded by the graph, mostly with the boxes last."""

from __future__ import annotations

from collections.abc import Mapping

from inference_core.detection_spec import Yolov8Decoder
from inference_core.engines.protocol import Array
from inference_core.tasks.boxes import corners_of_centers, scale_boxes
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.mask_maps import boxes_first, count_prototypes
from inference_core.tasks.decoders.scores import activate_last, best_class, check_shape
from inference_core.tasks.decoders.yolov5 import axes_of


def decode_yolov8(
    outputs: Mapping[str, Array], options: Yolov8Decoder, *, num_classes: int, input_hw: tuple[int, int]
) -> Candidates:
    """Candidates of (B, 4 + K, N) columns of centre, size and class scores.

    Source: ultralytics/ultralytics, ``ultralytics/nn/modules/head.py``, ``Detect``.
    """
    rows, *_ = outputs.values()
    num_prototypes = count_prototypes(outputs, options)
    check_shape(rows, axes_of(options.layout, 4 + num_classes + num_prototypes), decoder=options.name)
    rows = boxes_first(rows, layout=options.layout)
    boxes = corners_of_centers(rows[..., :4])
    best, class_ids = best_class(
        activate_last(rows[..., 4 : rows.shape[2] - num_prototypes], activation=options.activation)
    )
    return Candidates(
        boxes_xyxy=scale_boxes(boxes, input_hw=input_hw) if options.units == "relative" else boxes,
        scores=best,
        class_ids=class_ids,
    )
