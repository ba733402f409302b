"""Boxes that a decoder gives, before any is dropped, and the order in which they compete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from array_api_compat import array_namespace, device

from inference_core.engines.protocol import Array

NO_SCORE = -1.0
"""Of what is no box: background, padding, or under the threshold."""

Threshold = float | Sequence[float]
"""Least score of a box: of any class, or for each class."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Boxes of B tiles, as arrays of the engine's library, on its device."""

    boxes_xyxy: Array
    """(B, N, 4) float32 in pixels of the input; may reach beyond it."""
    scores: Array
    """(B, N) float32; NO_SCORE where there is no box."""
    class_ids: Array
    """(B, N) int32."""
    rows: Array | None = None
    """(B, N) int64, which of the decoded candidates each is; None where all are there in order."""
    carried: Mapping[str, Array] = field(default_factory=dict)
    """(B, N, ...) by name, what else belongs to each box and goes where it goes."""


def arrays_of(candidates: Candidates) -> dict[str, Array]:
    """Boxes, scores and class ids by name."""
    return {
        "boxes_xyxy": candidates.boxes_xyxy,
        "scores": candidates.scores,
        "class_ids": candidates.class_ids,
    }


def candidates_of(arrays: Mapping[str, Array]) -> Candidates:
    """Boxes by the names of ``arrays_of``; what is called otherwise is carried."""
    own = ("boxes_xyxy", "scores", "class_ids")
    carried = {name: array for name, array in arrays.items() if name not in own}
    return Candidates(**{name: arrays[name] for name in own}, carried=carried)


def ranked(candidates: Candidates, *, threshold: Threshold, max_candidates: int) -> Candidates:
    """The best candidates that reach the threshold: by score, then by class id, then by position.

    Args:
        candidates: as decoded, not modified.
        threshold: least score, one for all or one for each class.
        max_candidates: most that are kept for a tile.

    Returns:
        (B, M) candidates, M at least 1 and no more than needed; what is not used has NO_SCORE and comes last.
    """
    xp = array_namespace(candidates.scores)
    if candidates.scores.shape[1] == 0:
        candidates = one_empty_slot(candidates)
    least = least_scores(candidates.class_ids, threshold)
    is_found = candidates.scores >= least  # False for NaN, too
    scores = xp.where(is_found, candidates.scores, xp.full_like(candidates.scores, NO_SCORE))
    most = int(xp.max(xp.sum(xp.astype(is_found, xp.int32), axis=1)))
    by_class = xp.argsort(candidates.class_ids, axis=1, stable=True)
    by_score = xp.argsort(xp.take_along_axis(scores, by_class, axis=1), axis=1, descending=True, stable=True)
    order = xp.take_along_axis(by_class, by_score, axis=1)[:, : max(1, min(most, max_candidates))]
    return take(replace(candidates, scores=scores), order)


def least_scores(class_ids: Array, threshold: Threshold) -> Any:
    """The least score for the class of each of (B, N) candidates; one number where it is the same for all."""
    if isinstance(threshold, float):
        return threshold
    xp = array_namespace(class_ids)
    known = xp.asarray(threshold, dtype=xp.float32, device=device(class_ids))  # (K,)
    return xp.reshape(xp.take(known, xp.reshape(class_ids, (-1,)), axis=0), tuple(class_ids.shape))


def take(candidates: Candidates, order: Array) -> Candidates:
    """The candidates at (B, M) positions."""
    xp = array_namespace(order)
    return Candidates(
        boxes_xyxy=take_slots(candidates.boxes_xyxy, order),
        scores=xp.take_along_axis(candidates.scores, order, axis=1),
        class_ids=xp.take_along_axis(candidates.class_ids, order, axis=1),
        rows=order if candidates.rows is None else xp.take_along_axis(candidates.rows, order, axis=1),
        carried={name: take_slots(array, order) for name, array in candidates.carried.items()},
    )


def take_slots(array: Array, order: Array) -> Array:
    """(B, M, ...) of (B, N, ...) at (B, M) positions."""
    xp = array_namespace(order)
    inner = tuple(array.shape[2:])
    index = xp.reshape(order, (*order.shape, *(1 for _ in inner)))
    return xp.take_along_axis(array, xp.broadcast_to(index, (*order.shape, *inner)), axis=1)


def pad_to(candidates: Candidates, count: int) -> Candidates:
    """The first ``count`` candidates of each tile, filled up with empty slots."""
    return Candidates(
        boxes_xyxy=pad_axis_1(candidates.boxes_xyxy, count, fill=0),
        scores=pad_axis_1(candidates.scores, count, fill=NO_SCORE),
        class_ids=pad_axis_1(candidates.class_ids, count, fill=0),
        rows=None if candidates.rows is None else pad_axis_1(candidates.rows, count, fill=0),
        carried={name: pad_axis_1(array, count, fill=0) for name, array in candidates.carried.items()},
    )


def one_empty_slot(candidates: Candidates) -> Candidates:
    """A slot for each tile in place of none, since there is no best of nothing."""
    return pad_to(candidates, 1)


def pad_axis_1(array: Array, count: int, *, fill: Any) -> Array:
    """An array cut or filled up to ``count`` along its second axis."""
    xp = array_namespace(array)
    missing = count - array.shape[1]
    if missing <= 0:
        return array[:, :count, ...]
    shape = (array.shape[0], missing, *array.shape[2:])
    return xp.concat([array, xp.full(shape, fill, dtype=array.dtype, device=device(array))], axis=1)
