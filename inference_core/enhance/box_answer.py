"""The merged answer of forwards that give boxes, fused on the CPU tile by tile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.agreement import decision_gap
from inference_core.engines.protocol import Array
from inference_core.enhance.forwards import Seen
from inference_core.enhance.fuse_boxes import Boxes, fuse_boxes, join_boxes
from inference_core.spec import ModelSpec
from inference_core.tasks.candidates import NO_SCORE, Candidates, arrays_of, candidates_of
from inference_core.tasks.detection import threshold_of
from inference_core.tasks.merged_spec import merge_of, merged_spec
from inference_core.tasks.nms import suppress


class BoxAnswer:
    """Merges the boxes of detection models: by weighted boxes fusion, or by letting all compete once.

    Args:
        spec: of the package that the forwards are of.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._merge = merge_of(spec)
        declared = spec.ensemble or spec.tta
        self._iou_threshold = declared.iou_threshold if declared is not None else 0.55
        self._nms = merged_spec(spec).output.nms
        self._threshold = threshold_of(spec)

    def merge(self, forwards: Iterable[Seen]) -> dict[str, Array]:
        """The outputs that stand for all forwards, as NumPy arrays.

        Returns:
            ``boxes_xyxy`` (B, N, 4), ``scores`` (B, N) and ``class_ids`` (B, N), slots without a box with NO_SCORE; all
            scores of a tile are NaN where a forward's were. What is carried stands beside them, (B, N, ...). With
            several steps ``gain_changed`` and ``gain_shift``.
        """
        seen: list[Seen] = []
        log = BoxGains()
        for _, group in groupby(forwards, key=lambda one: one.step):
            seen += [replace(one, answer=on_cpu(one.answer)) for one in group]
            fused = [self._fuse(seen, tile) for tile in range(len(seen[0].answer.scores))]
            log.note([self._decided(boxes) for boxes in fused])
        return {**stack_boxes(fused), **log.outputs()}

    def _fuse(self, seen: Sequence[Seen], tile: int) -> Boxes:
        """The boxes of one tile in all forwards so far, as one answer."""
        forwards = [boxes_of_tile(one.answer, tile) for one in seen]
        if any(np.isnan(one.scores).any() for one in forwards):
            return not_finite(like=forwards[0])
        if self._merge == "wbf":
            return fuse_boxes(forwards, weights=[one.weight for one in seen], iou_threshold=self._iou_threshold)
        return join_boxes(forwards)

    def _decided(self, fused: Boxes) -> Boxes:
        """The boxes that would be the answer."""
        candidates = Candidates(
            boxes_xyxy=fused.boxes_xyxy[None], scores=fused.scores[None], class_ids=fused.class_ids[None]
        )
        kept = suppress(candidates, nms=self._nms, threshold=self._threshold)
        return boxes_of_tile(kept, 0)


def not_finite(*, like: Boxes) -> Boxes:
    """In the place of the boxes of a tile whose outputs are not finite."""
    return Boxes(
        boxes_xyxy=np.zeros((1, 4), np.float32),
        scores=np.full(1, np.nan, np.float32),
        class_ids=np.zeros(1, np.int32),
        carried={name: np.zeros((1, *array.shape[1:]), array.dtype) for name, array in like.carried.items()},
    )


class BoxGains:
    """Collects what each step after the first changes."""

    def __init__(self) -> None:
        self._last: list[Boxes] = []
        self._changed: list[list[float]] = []
        self._shifts: list[list[float]] = []

    def note(self, tiles: list[Boxes]) -> None:
        """Take the answers of all tiles with one more step."""
        pairs = list(zip(self._last, tiles, strict=bool(self._last)))
        if pairs:
            self._changed.append([unpaired(before, after) for before, after in pairs])
            self._shifts.append([abs(best_score(after) - best_score(before)) for before, after in pairs])
        self._last = tiles

    def outputs(self) -> dict[str, Array]:
        """``gain_changed`` and ``gain_shift`` (B, S - 1) float32; nothing where there was one step."""
        if not self._changed:
            return {}
        return {
            "gain_changed": np.array(self._changed, np.float32).T,
            "gain_shift": np.array(self._shifts, np.float32).T,
        }


def unpaired(before: Boxes, after: Boxes) -> float:
    """Share of objects that only one of two answers has."""
    one, other = (np.column_stack([boxes.class_ids, boxes.boxes_xyxy]) for boxes in (before, after))
    return decision_gap(one, other, task="detection")


def best_score(boxes: Boxes) -> float:
    """Of the best box, 0 without boxes."""
    return float(boxes.scores.max(initial=0.0))


def on_cpu(candidates: Candidates) -> Candidates:
    """Candidates as NumPy arrays."""
    arrays = {**arrays_of(candidates), **candidates.carried}
    return candidates_of(
        {name: array if isinstance(array, np.ndarray) else array.cpu().numpy() for name, array in arrays.items()}
    )


def boxes_of_tile(candidates: Candidates, tile: int) -> Boxes:
    """The boxes of one tile, without empty slots."""
    is_used = ~(candidates.scores[tile] <= NO_SCORE)  # NaN stays
    return Boxes(
        boxes_xyxy=candidates.boxes_xyxy[tile][is_used],
        scores=candidates.scores[tile][is_used],
        class_ids=candidates.class_ids[tile][is_used],
        carried={name: array[tile][is_used] for name, array in candidates.carried.items()},
    )


def stack_boxes(tiles: Sequence[Boxes]) -> dict[str, Array]:
    """Boxes of tiles as one batch, filled up with empty slots."""
    most = max(len(boxes.scores) for boxes in tiles)
    fills = {"boxes_xyxy": 0.0, "scores": NO_SCORE, "class_ids": 0}
    own = {
        name: np.stack([filled(getattr(boxes, name), most, fill=fill) for boxes in tiles])
        for name, fill in fills.items()
    }
    carried = {
        name: np.stack([filled(boxes.carried[name], most, fill=0) for boxes in tiles]) for name in tiles[0].carried
    }
    return {**own, **carried}


def filled(array: NDArray[Any], count: int, *, fill: float) -> NDArray[Any]:
    """An array filled up to ``count`` entries."""
    missing = np.full((count - len(array), *array.shape[1:]), fill, array.dtype)
    return np.concatenate([array, missing])
