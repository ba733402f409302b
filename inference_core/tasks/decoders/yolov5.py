"""YOLOv5 and its kin (v7): boxes with objectness, decoded by the graph."""

from __future__ import annotations

from collections.abc import Mapping

from inference_core.detection_spec import Yolov5Decoder
from inference_core.engines.protocol import Array
from inference_core.tasks.boxes import corners_of_centers, scale_boxes
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.mask_maps import boxes_first, count_prototypes
from inference_core.tasks.decoders.scores import activate_last, best_class, check_shape


def decode_yolov5(
    outputs: Mapping[str, Array], options: Yolov5Decoder, *, num_classes: int, input_hw: tuple[int, int]
) -> Candidates:
    """Candidates of (B, N, 5 + K) rows of centre, size, objectness and class scores.

    Source: ultralytics/yolov5, ``utils/general.py``, ``non_max_suppression``: the score is objectness times class.
    """
    rows, *_ = outputs.values()
    num_prototypes = count_prototypes(outputs, options)
    check_shape(rows, axes_of(options.layout, 5 + num_classes + num_prototypes), decoder=options.name)
    rows = boxes_first(rows, layout=options.layout)
    boxes = corners_of_centers(rows[..., :4])
    scores = activate_last(rows[..., 4 : rows.shape[2] - num_prototypes], activation=options.activation)
    best, class_ids = best_class(scores[..., 1:])
    return Candidates(
        boxes_xyxy=scale_boxes(boxes, input_hw=input_hw) if options.units == "relative" else boxes,
        scores=scores[..., 0] * best,
        class_ids=class_ids,
    )


def axes_of(layout: str, num_values: int) -> tuple[int | str, ...]:
    """The expected axes of a layout."""
    return tuple(num_values if axis == "C" else axis for axis in layout)
