"""Detection: boxes with a class and a score, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.prepare import boxes_to_image, points_to_image
from inference_core.records import Detection, Placement, Result
from inference_core.spec import ModelSpec
from inference_core.tasks.boxes import areas
from inference_core.tasks.candidates import NO_SCORE, Candidates
from inference_core.tasks.decoders.decode import decode
from inference_core.tasks.nms import suppress
from inference_core.tasks.protocol import RawOutput
from inference_core.tasks.tile_boxes import TileBoxes, join_tile_boxes

OBJECT_TYPE = pa.struct(
    [
        ("class_id", pa.int32()),
        ("label", pa.string()),
        ("score", pa.float32()),
        *((name, pa.float32()) for name in ("x_min", "y_min", "x_max", "y_max")),
    ]
)


class DetectionTask:
    """Reads what ``output.decoder`` names; boxes of several tiles are joined.

    Args:
        spec: ``output.threshold`` is the least score, ``output.nms`` says which of overlapping boxes are kept.
    """

    result_fields: tuple[pa.Field, ...] = (
        pa.field("num_objects", pa.int32()),
        pa.field("score", pa.float32()),
        pa.field("objects", pa.list_(OBJECT_TYPE)),
    )

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    @np.errstate(over="ignore", invalid="ignore")
    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """The boxes that stay, best first, in pixels of the tile; n is ``output.nms.max_boxes``.

        ``boxes_xyxy`` (B, n, 4), ``scores`` (B, n), ``class_ids`` (B, n) int32; ``num_boxes`` (B,) int32 of them are
        used. ``finite`` (B,).
        """
        output = self._spec.output
        assert output.decoder is not None, "the spec of a detection model names its decoder"
        candidates = decode(
            outputs,
            output.decoder,
            name=output.name,
            names=output.names,
            num_classes=len(self._spec.classes),
            input_hw=tile_hw,
        )
        kept = suppress(candidates, nms=output.nms, threshold=output.threshold)
        xp = array_namespace(kept.scores)
        return {
            "boxes_xyxy": kept.boxes_xyxy,
            "scores": kept.scores,
            "class_ids": kept.class_ids,
            "num_boxes": xp.sum(xp.astype(kept.scores > NO_SCORE, xp.int32), axis=1, dtype=xp.int32),
            "finite": is_finite(candidates, kept),
        }

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """The boxes of all tiles in the image, without those that lie outside it."""
        output = self._spec.output
        tiles = [
            tile_boxes(raw, placement, tile_index=index, clips=output.clip_boxes)
            for index in range(placement.num_tiles)
        ]
        found = join_tile_boxes(tiles, placement, nms=output.nms) if len(tiles) > 1 else tiles[0]
        return Detection(
            boxes_xyxy=found.boxes_xyxy,
            scores=found.scores,
            class_ids=found.class_ids,
            labels=tuple(self._spec.classes[index] for index in found.class_ids),
        )

    def to_row(self, result: Result) -> dict[str, Any]:
        """The objects nested, their number and the best score flat; without objects there is no score."""
        assert isinstance(result, Detection), "a detection task makes detections"
        parts = (result.class_ids.tolist(), result.labels, result.scores.tolist(), result.boxes_xyxy.tolist())
        return {
            "num_objects": len(result.scores),
            "score": float(result.scores[0]) if len(result.scores) else None,
            "objects": [
                dict(zip(OBJECT_TYPE.names, (class_id, label, score, *box), strict=True))
                for class_id, label, score, box in zip(*parts, strict=True)
            ],
        }


def is_finite(candidates: Candidates, kept: Candidates) -> Array:
    """(B,) bool: whether all scores are numbers and so are the corners of the boxes that stay.

    Where the score is next to 0, networks give any size, even an infinite one.
    """
    xp = array_namespace(kept.scores)
    corners = xp.all(xp.isfinite(kept.boxes_xyxy), axis=2) | (kept.scores <= NO_SCORE)
    return xp.all(xp.isfinite(candidates.scores), axis=1) & xp.all(corners, axis=1)


def tile_boxes(raw: RawOutput, placement: Placement, *, tile_index: int, clips: bool) -> TileBoxes:
    """One tile's boxes in the image's pixels; those without area in the image are left out."""
    count = int(raw["num_boxes"][tile_index])
    found = raw["boxes_xyxy"][tile_index, :count]
    clipped = boxes_to_image(found, placement, tile_index=tile_index)
    is_inside = areas(clipped) > 0
    boxes = clipped if clips else points_to_image(found.reshape(-1, 2), placement, tile_index=tile_index).reshape(-1, 4)
    return TileBoxes(
        boxes_xyxy=boxes[is_inside],
        scores=np.asarray(raw["scores"][tile_index, :count][is_inside], np.float32),
        class_ids=np.asarray(raw["class_ids"][tile_index, :count][is_inside], np.int32),
    )
