"""A row of a shard between its writing and the commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference_core.items import Prediction
from jobs.report.facts import ErrorRow
from jobs.reuse.known_answers import PLANE_FOLDERS, KnownAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRow:
    """What is kept of a prediction until its shard is committed: no pixels."""

    row: dict[str, Any]
    """By column name."""
    has_mask: bool
    error: ErrorRow | None
    engine: str
    is_duplicate: bool = False
    """Whether the answer is that of an equal image of the shard."""

    @property
    def is_own_answer(self) -> bool:
        """Whether the row has the answer that this run gave to an equal image."""
        return self.is_duplicate and self.error is None and self.row["reused_from"] is None

    @property
    def key(self) -> tuple[str, int]:
        """The bytes' SHA-256, and the page of them."""
        return self.row["sha256"], self.row["page"]


def taken_row(known: KnownAnswer, prediction: Prediction, *, row_id: int) -> dict[str, Any]:
    """A known answer as the row of an image of the same bytes: only names, places and times are the image's own."""
    source = prediction.source
    return {
        **known.row,
        "row_id": row_id,
        "image_id": source.image_id,
        "uri": source.uri,
        **dict.fromkeys(PLANE_FOLDERS),
        "reused_from": known.run_id,
        "fetch_ms": prediction.stage_ms.fetch,
        "prepare_ms": 0.0,
        "infer_ms": 0.0,
        "finish_ms": 0.0,
    }


def error_of(row: Mapping[str, Any]) -> ErrorRow:
    """What the error list keeps of a row without result."""
    return ErrorRow(image_id=row["image_id"], uri=row["uri"], status=row["status"], error=row["error"])


def error_row(prediction: Prediction) -> ErrorRow:
    """What the error list keeps of a prediction without result."""
    source = prediction.source
    return ErrorRow(image_id=source.image_id, uri=source.uri, status=prediction.status, error=prediction.error)
