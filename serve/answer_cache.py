"""Answers that were given already, by what decides them: the bytes, the model and the options."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from inference_core.results import Detection, Result
from serve.answers import Answer, PredictRequest

BASE_BYTES = 2048
"""Of an answer without arrays: records, row and the entry itself."""

ENTRY_BYTES = 512
"""Of an entry of a row's list, with what the record has beside it: a class, a box."""

REPEATABLE = frozenset({"ok", "decode_error", "too_large", "unsupported"})
"""Statuses that the same bytes lead to again."""


LARGEST_SHARE = 4
"""An answer larger than this part of all memory is not kept: it would push out too many others."""


class AnswerCache:
    """Keeps the answers that were wanted last, up to a number of bytes; used on one event loop.

    Args:
        max_bytes: of all answers together; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._answers: OrderedDict[Hashable, tuple[Answer, int]] = OrderedDict()
        self.num_bytes = 0
        self.num_hits = 0
        self.num_misses = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: Hashable) -> Answer | None:
        """The answer, None where it is not known."""
        found = self._answers.get(key)
        if found is None:
            self.num_misses += 1
            return None
        self.num_hits += 1
        self._answers.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, answer: Answer) -> None:
        """Keep an answer that the same bytes would have again; those wanted longest ago make room."""
        if not self.max_bytes or answer.prediction.status not in REPEATABLE:
            return
        size = size_of(answer)
        if size > self.max_bytes // LARGEST_SHARE:
            return
        self._drop(key)
        self._answers[key] = (answer, size)
        self.num_bytes += size
        while self.num_bytes > self.max_bytes:
            self._drop(next(iter(self._answers)))

    def _drop(self, key: Hashable) -> None:
        _, size = self._answers.pop(key, (None, 0))
        self.num_bytes -= size


def size_of(answer: Answer) -> int:
    """About as many bytes as an answer holds: its arrays, and a fixed number for each entry of its lists.

    Asked for every answer, so that a walk through all of it would cost more than a small model.
    """
    result, size = answer.prediction.result, BASE_BYTES
    arrays = [*answer.raw.values(), *(values_of(result) if result is not None else ())]
    for value in arrays:
        if isinstance(value, np.ndarray):
            size += value.nbytes
    for column in answer.row.values():
        if isinstance(column, list):
            size += ENTRY_BYTES * len(column)
    if isinstance(result, Detection) and result.masks is not None:
        size += 2 * sum(len(mask.counts) for mask in result.masks)  # in the record and in the row
    return size


def values_of(result: Result) -> Iterator[Any]:
    """The fields of a record."""
    for field in fields(result):
        yield getattr(result, field.name)


def relabelled(answer: Answer, request: PredictRequest) -> Answer:
    """Another request's answer for the same bytes, under this request's own names."""
    source = replace(answer.prediction.source, image_id=request.image_id, uri=request.uri)
    return replace(
        answer,
        prediction=replace(answer.prediction, source=source),
        row={**answer.row, "image_id": request.image_id, "uri": request.uri},
        was_cached=True,
    )
