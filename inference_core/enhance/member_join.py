"""Answers of members that were shown the image differently, merged in the image's own pixels.

Each member's answer is laid over the image through its own placement. The image as it is then stands for the only tile,
so that what merges and reduces the forwards of a batch on the device does the same here, on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.enhance.box_answer import BoxAnswer
from inference_core.enhance.engine import Answer
from inference_core.enhance.feature_answer import FeatureAnswer
from inference_core.enhance.forwards import Seen
from inference_core.enhance.member_answer import SCORES
from inference_core.enhance.score_answer import ScoreAnswer
from inference_core.input_spec import InputSpec
from inference_core.items import RawPart
from inference_core.prepare import blend_tiles, map_to_image
from inference_core.records import FloatArray, Placement, Uint8Array
from inference_core.spec import ModelSpec
from inference_core.tasks.candidates import Candidates
from inference_core.tasks.detection import tile_boxes
from inference_core.tasks.instance_masks import MaskPart
from inference_core.tasks.protocol import RawOutput, Task
from inference_core.tasks.tile_boxes import TileBoxes, join_tile_boxes

BAND_VALUES = 1 << 22
"""Scores of one member that are merged at a time: 16 MiB as float32."""
BEST = "best_member_box"
"""Name of what is carried with a box: the row of its best box among those of all members."""

Parts = Sequence[tuple[MaskPart, ...]]


def build_answer(spec: ModelSpec) -> Answer:
    """What merges the forwards of a task."""
    if spec.task == "detection":
        return BoxAnswer(spec)
    return FeatureAnswer(spec) if spec.task == "embedding" else ScoreAnswer(spec)


def image_spec(spec: ModelSpec) -> ModelSpec:
    """The spec of a model that is shown the image as it is."""
    output = spec.output.model_copy(update={"resize_from": "class_map"})
    return spec.model_copy(update={"input": InputSpec(fit="native", multiple_px=1), "output": output})


def image_placement(image_hw: tuple[int, int]) -> Placement:
    """Of an image that is its own only tile."""
    return Placement(
        image_hw=image_hw,
        scaled_hw=image_hw,
        canvas_hw=image_hw,
        offset_yx=(0, 0),
        tile_hw=image_hw,
        tile_origins_yx=((0, 0),),
    )


class MemberJoin:
    """Merges what the members of an ensemble gave for one image. Holds no state; safe to share between threads.

    Args:
        spec: of the ensemble.
        members: specs of its members.
        task: reads their merged answer, built of ``image_spec(spec)``.
    """

    def __init__(self, spec: ModelSpec, members: Sequence[ModelSpec], *, task: Task) -> None:
        assert spec.ensemble is not None, "only ensembles have members"
        self._spec = spec
        self._members = members
        self._weights = [member.weight for member in spec.ensemble.members]
        self._answer = build_answer(spec)
        self._task = task

    def join(self, parts: Sequence[RawPart]) -> tuple[RawOutput, Placement]:
        """One raw output in place of the members'.

        Args:
            parts: of the members, in order; not modified.

        Cost: with segmentation the members' scores of all classes at the image's size, as bytes.
        """
        placement = image_placement(parts[0].placement.image_hw)
        if self._spec.task == "segmentation":
            return self._join_planes(parts), placement
        if self._spec.task == "detection":
            return self._join_boxes(parts, placement), placement
        return self._reduce([np.asarray(part.raw[SCORES]) for part in parts], tile_hw=(1, 1)), placement

    def _reduce(self, answers: Sequence[Any], *, tile_hw: tuple[int, int]) -> dict[str, NDArray[Any]]:
        """The merged answers of all members, as they leave the device elsewhere."""
        forwards = [
            Seen(step=step, weight=weight, answer=answer)
            for step, (weight, answer) in enumerate(zip(self._weights, answers, strict=True))
        ]
        reduced = self._task.reduce(self._answer.merge(forwards), tile_hw=tile_hw)
        return {name: np.asarray(array) for name, array in reduced.items() if name != "finite"}

    def _join_planes(self, parts: Sequence[RawPart]) -> dict[str, NDArray[Any]]:
        """A band of rows at a time."""
        planes = [planes_in_image(part) for part in parts]  # (K, H, W) each
        bands, num_rows = [], []
        for rows in bands_of(planes[0].shape):
            scores = [scores_of(plane[:, rows], competes=self._spec.scores_compete) for plane in planes]
            bands.append(self._reduce(scores, tile_hw=scores[0].shape[2:]))
            num_rows.append(rows.stop - rows.start)
        return {name: join_bands([band[name] for band in bands], num_rows) for name in bands[0]}

    def _join_boxes(self, parts: Sequence[RawPart], placement: Placement) -> dict[str, NDArray[Any]]:
        """The boxes of all members as those of one tile."""
        clips = self._spec.output.clip_boxes
        found = [boxes_in_image(part, spec=spec, clips=clips) for part, spec in zip(parts, self._members, strict=True)]
        starts = np.cumsum([0, *(len(one.scores) for one in found)])
        candidates = [candidates_in_image(one, first_row=int(start)) for one, start in zip(found, starts, strict=False)]
        raw = self._reduce(candidates, tile_hw=placement.tile_hw)
        rows = raw.pop(BEST)[0, : int(raw["num_boxes"][0])]
        mask_parts = [mask for one in found for mask in one.mask_parts]
        return {**raw, **mask_arrays([mask_parts[row] for row in rows])}


def planes_in_image(part: RawPart) -> Uint8Array:
    """(K, H, W) scores of a member, times 255, in the image's pixels."""
    planes = np.asarray(part.raw[SCORES])  # (T, K, h, w)
    canvas = planes[0] if part.placement.num_tiles == 1 else blend_tiles(planes, part.placement)
    return map_to_image(canvas, part.placement, interpolation="bilinear")


def bands_of(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of (K, H, W) planes that are done at a time."""
    num_classes, height, width = shape
    step = max(1, BAND_VALUES // (num_classes * width))
    return (slice(start, min(start + step, height)) for start in range(0, height, step))


def scores_of(planes: Uint8Array, *, competes: bool) -> FloatArray:
    """(1, K, h, w) float32 scores; competing ones sum to 1 again, which rounding to bytes had moved."""
    scores = planes[None].astype(np.float32) / np.float32(255)
    if not competes:
        return scores
    total = scores.sum(axis=1, keepdims=True)
    return np.asarray(scores / np.where(total > 0, total, np.float32(1)), np.float32)


def join_bands(bands: Sequence[NDArray[Any]], num_rows: Sequence[int]) -> NDArray[Any]:
    """Planes (1, h, w) of bands below each other; of numbers of a band their mean by its rows."""
    if bands[0].ndim == 3:
        return np.concatenate(bands, axis=1)
    return np.average(bands, axis=0, weights=num_rows).astype(bands[0].dtype)


def boxes_in_image(part: RawPart, *, spec: ModelSpec, clips: bool) -> TileBoxes:
    """The boxes of a member in the image's pixels, those of several tiles joined."""
    tiles = [
        tile_boxes(part.raw, part.placement, tile_index=index, clips=clips) for index in range(part.placement.num_tiles)
    ]
    return tiles[0] if len(tiles) == 1 else join_tile_boxes(tiles, part.placement, nms=spec.output.nms)


def candidates_in_image(found: TileBoxes, *, first_row: int) -> Candidates:
    """The same as boxes of one tile, numbered from ``first_row`` on."""
    rows = np.arange(first_row, first_row + len(found.scores))
    return Candidates(
        boxes_xyxy=found.boxes_xyxy[None],
        scores=found.scores[None],
        class_ids=found.class_ids[None],
        carried={BEST: rows[None]},
    )


def mask_arrays(boxes: Sequence[tuple[MaskPart, ...]]) -> Mapping[str, NDArray[Any]]:
    """The masks of boxes as ``tile_boxes`` reads them; nothing where there are none."""
    parts = [part for box in boxes for part in box]
    if not parts:
        return {}
    return {
        "num_parts": np.array([[len(box) for box in boxes]]),
        "masks": np.stack([part.grid for part in parts])[None],
        "mask_windows": np.stack([part.window_xyxy for part in parts])[None],
    }
