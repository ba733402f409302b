"""YOLOX: one box for each cell of each stride, no anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from array_api_compat import array_namespace, device

from inference_core.detection_spec import YoloxDecoder
from inference_core.engines.protocol import Array
from inference_core.tasks.boxes import corners_of_centers
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.decoders.scores import activate_last, best_class, check_shape


def decode_yolox(
    outputs: Mapping[str, Array], options: YoloxDecoder, *, num_classes: int, input_hw: tuple[int, int]
) -> Candidates:
    """Candidates of (B, N, 5 + K) rows of centre, size, objectness and class scores.

    Source: Megvii-BaseDetection/YOLOX, ``yolox/models/yolo_head.py``, ``decode_outputs``: the centre is (offset +
    cell) * stride, the size exp(value) * stride.
    """
    (rows,) = outputs.values()
    xp = array_namespace(rows)
    num_cells = sum(-(-input_hw[0] // stride) * -(-input_hw[1] // stride) for stride in options.strides)
    check_shape(rows, ("B", "N" if options.is_decoded else num_cells, 5 + num_classes), decoder=options.name)
    boxes = rows[..., :4]
    if not options.is_decoded:
        cells, strides = grid(options.strides, input_hw=input_hw, like=rows)  # (N, 2) and (N, 1)
        boxes = xp.concat([(boxes[..., :2] + cells) * strides, xp.exp(boxes[..., 2:]) * strides], axis=-1)
    scores = activate_last(rows[..., 4:], activation=options.activation)
    best, class_ids = best_class(scores[..., 1:])
    return Candidates(boxes_xyxy=corners_of_centers(boxes), scores=scores[..., 0] * best, class_ids=class_ids)


def grid(strides: Sequence[int], *, input_hw: tuple[int, int], like: Array) -> tuple[Array, Array]:
    """Column and row of each cell (N, 2) and its stride (N, 1), stride by stride, row by row."""
    xp = array_namespace(like)
    cells, sizes = [], []
    for stride in strides:
        rows, columns = (xp.arange(-(-side // stride), dtype=like.dtype, device=device(like)) for side in input_hw)
        ys, xs = xp.meshgrid(rows, columns, indexing="ij")
        cells.append(xp.stack([xp.reshape(xs, (-1,)), xp.reshape(ys, (-1,))], axis=-1))
        sizes.append(xp.full((cells[-1].shape[0], 1), float(stride), dtype=like.dtype, device=device(like)))
    return xp.concat(cells, axis=0), xp.concat(sizes, axis=0)
