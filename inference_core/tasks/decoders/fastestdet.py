"""FastestDet: one box for each cell of a single map."""

from __future__ import annotations

from collections.abc import Mapping

from array_api_compat import array_namespace

from inference_core.detection_spec import FastestdetDecoder
from inference_core.engines.protocol import Array
from inference_core.tasks.boxes import corners_of_centers, scale_boxes
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.scores import best_class, check_shape
from inference_core.tasks.decoders.yolox import grid
from inference_core.tasks.outputs import sigmoid

OBJECTNESS_POWER, CLASS_POWER = 0.6, 0.4
"""Weights of the two scores in their geometric mean."""


def decode_fastestdet(
    outputs: Mapping[str, Array], options: FastestdetDecoder, *, num_classes: int, input_hw: tuple[int, int]
) -> Candidates:
    """Candidates of a (B, 5 + K, h, w) map of objectness, offsets, size and class probabilities.

    Source: dog-qiuqiu/FastestDet, ``utils/tool.py``, ``handle_preds``: the centre is (tanh(offset) + cell) / cells, the
    size sigmoid(value), both in shares of the input.
    """
    (output,) = outputs.values()
    xp = array_namespace(output)
    check_shape(output, ("B", 5 + num_classes, "h", "w"), decoder=options.name)
    map_hw = (int(output.shape[2]), int(output.shape[3]))
    rows = xp.permute_dims(xp.reshape(output, (*output.shape[:2], -1)), (0, 2, 1))  # (B, h * w, 5 + K)
    cells, _ = grid((1,), input_hw=map_hw, like=rows)
    centers = scale_centers(xp.tanh(rows[..., 1:3]) + cells, map_hw=map_hw)
    boxes = corners_of_centers(xp.concat([centers, sigmoid(rows[..., 3:5])], axis=-1))
    best, class_ids = best_class(rows[..., 5:])
    return Candidates(
        boxes_xyxy=scale_boxes(boxes, input_hw=input_hw),
        scores=rows[..., 0] ** OBJECTNESS_POWER * best**CLASS_POWER,
        class_ids=class_ids,
    )


def scale_centers(cells_xy: Array, *, map_hw: tuple[int, int]) -> Array:
    """(B, N, 2) positions in cells as shares of the map."""
    xp = array_namespace(cells_xy)
    return xp.stack([cells_xy[..., 0] / map_hw[1], cells_xy[..., 1] / map_hw[0]], axis=-1)
