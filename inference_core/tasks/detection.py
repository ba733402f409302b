"""Detection: boxes with a class and a score, in the image's own pixels."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from array_api_compat import array_namespace

from inference_core.detection_spec import gives_masks, has_logit_masks
from inference_core.engines.protocol import Array
from inference_core.prepare import boxes_to_image, points_to_image
from inference_core.records import Placement
from inference_core.results import Detection, InstanceMask, Result
from inference_core.spec import ModelSpec
from inference_core.tasks.boxes import areas
from inference_core.tasks.candidates import NO_SCORE, Candidates, Threshold, arrays_of, candidates_of
from inference_core.tasks.decoders.decode import decode, decode_masks
from inference_core.tasks.instance_masks import MaskPart, place_mask
from inference_core.tasks.kept_masks import reduce_masks
from inference_core.tasks.mask_grid import grid_level
from inference_core.tasks.nms import suppress
from inference_core.tasks.protocol import RawOutput
from inference_core.tasks.tile_boxes import TileBoxes, join_tile_boxes

OBJECT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("class_id", pa.int32()),
    pa.field("label", pa.string()),
    pa.field("score", pa.float32()),
    *(pa.field(name, pa.float32()) for name in ("x_min", "y_min", "x_max", "y_max")),
)
MASK_FIELDS: tuple[pa.Field, ...] = (
    pa.field("mask_area_px", pa.int64()),
    pa.field("mask", pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])),
)
"""Of an object where the model gives instance masks, besides OBJECT_FIELDS."""


def threshold_of(spec: ModelSpec) -> Threshold:
    """The least score of a box: one for all classes, or one for each."""
    least = [spec.output.thresholds.get(label, spec.output.threshold) for label in spec.classes]
    return least if spec.output.thresholds else spec.output.threshold


def fields_of(*, has_masks: bool) -> tuple[pa.Field, ...]:
    """The columns of a detection model."""
    kind = pa.struct([*OBJECT_FIELDS, *MASK_FIELDS * has_masks])
    return (
        pa.field("num_objects", pa.int32()),
        pa.field("score", pa.float32()),
        pa.field("objects", pa.list_(kind)),
    )


class DetectionTask:
    """Reads what ``output.decoder`` names; boxes of several tiles are joined.

    Args:
        spec: ``output.threshold`` and ``thresholds`` are the least scores, ``output.nms`` says which of overlapping
            boxes are kept.
        reads_decoder: whether the outputs are the model's; else they are boxes by the names that Candidates have, and
            what belongs to them.
    """

    def __init__(self, spec: ModelSpec, *, reads_decoder: bool = True) -> None:
        self._spec = spec
        self._reads_decoder = reads_decoder
        self.result_fields = fields_of(has_masks=gives_masks(spec.output.decoder))
        self._threshold = threshold_of(spec)

    @np.errstate(over="ignore", invalid="ignore")
    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """The boxes that stay, best first, in pixels of the tile; n is ``output.nms.max_boxes``.

        ``boxes_xyxy`` (B, n, 4), ``scores`` (B, n), ``class_ids`` (B, n) int32; ``num_boxes`` (B,) int32 of them are
        used. ``finite`` (B,). With masks also ``masks`` and ``mask_windows``, see ``reduce_masks``.
        """
        if not self._reads_decoder:
            return self._reduce_boxes(outputs)
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
        kept = suppress(candidates, nms=output.nms, threshold=self._threshold)
        num_boxes = count_boxes(kept)
        finite = is_finite(candidates, kept)
        maps = decode_masks(outputs, output.decoder, names=output.names, num_boxes=int(candidates.scores.shape[1]))
        masks: dict[str, Array] = {}
        if maps is not None:
            masks, has_finite_masks = reduce_masks(
                maps, kept, num_boxes, decoder=output.decoder, input_hw=tile_hw, mask_px=output.mask_px
            )
            finite = finite & has_finite_masks
        return {**arrays_of(kept), "num_boxes": num_boxes, "finite": finite, **masks}

    def _reduce_boxes(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The same of boxes that are there, with what is carried beside them."""
        candidates = candidates_of(outputs)
        kept = suppress(candidates, nms=self._spec.output.nms, threshold=self._threshold)
        return {
            **arrays_of(kept),
            **kept.carried,
            "num_boxes": count_boxes(kept),
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
            masks=self._masks(found, placement),
        )

    def _masks(self, found: TileBoxes, placement: Placement) -> tuple[InstanceMask, ...] | None:
        """The objects' masks in the image's pixels."""
        decoder = self._spec.output.decoder
        if decoder is None or not gives_masks(decoder):
            return None
        level = grid_level(self._spec.output.mask_threshold, is_logits=has_logit_masks(decoder))
        return tuple(place_mask(parts, image_hw=placement.image_hw, level=level) for parts in found.mask_parts)

    def to_row(self, result: Result) -> dict[str, Any]:
        """The objects nested, their number and the best score flat; without objects there is no score."""
        assert isinstance(result, Detection), "a detection task makes detections"
        parts = (result.class_ids.tolist(), result.labels, result.scores.tolist(), result.boxes_xyxy.tolist())
        names = [field.name for field in OBJECT_FIELDS]
        objects: list[dict[str, Any]] = [
            dict(zip(names, (class_id, label, score, *box), strict=True))
            for class_id, label, score, box in zip(*parts, strict=True)
        ]
        for values, mask in zip(objects, result.masks or (), strict=result.masks is not None):
            values["mask_area_px"] = mask.area_px
            values["mask"] = {"size": list(mask.size_hw), "counts": mask.counts}
        return {
            "num_objects": len(objects),
            "score": float(result.scores[0]) if len(objects) else None,
            "objects": objects,
        }


def count_boxes(kept: Candidates) -> Array:
    """(B,) int32 how many boxes each tile has."""
    xp = array_namespace(kept.scores)
    return xp.sum(xp.astype(kept.scores > NO_SCORE, xp.int32), axis=1, dtype=xp.int32)


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
    mask_parts = parts_of_tile(raw, placement, tile_index=tile_index)
    return TileBoxes(
        boxes_xyxy=boxes[is_inside],
        scores=np.asarray(raw["scores"][tile_index, :count][is_inside], np.float32),
        class_ids=np.asarray(raw["class_ids"][tile_index, :count][is_inside], np.int32),
        mask_parts=[mask_parts[index] for index in np.flatnonzero(is_inside)],
    )


def parts_of_tile(raw: RawOutput, placement: Placement, *, tile_index: int) -> list[tuple[MaskPart, ...]]:
    """What makes the mask of each of a tile's boxes, a part unless ``num_parts`` says how many; none without masks."""
    count = int(raw["num_boxes"][tile_index])
    if "masks" not in raw:
        return [()] * count
    counts = raw["num_parts"][tile_index, :count].tolist() if "num_parts" in raw else [1] * count
    num_parts = sum(counts)
    corners = raw["mask_windows"][tile_index, :num_parts].reshape(-1, 2)
    windows = points_to_image(corners, placement, tile_index=tile_index).reshape(-1, 4)
    grids = raw["masks"][tile_index, :num_parts]
    parts = iter([MaskPart(grid=grid, window_xyxy=window) for grid, window in zip(grids, windows, strict=True)])
    return [tuple(islice(parts, number)) for number in counts]
