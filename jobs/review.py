"""Read a finished run's review queue back."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from inference_core import storage
from inference_core.errors import JobError, MissingObjectError
from jobs.report.review_rows import ReviewRow

SUMMARY = ("report", "summary.json")
ROWS = TypeAdapter(tuple[ReviewRow, ...])


def read_review(output: str) -> list[ReviewRow]:
    """The images that a person should look at, first those to look at first.

    Args:
        output: the run's folder or prefix.

    Raises:
        JobError: the run has no report yet, or a damaged one.
    """
    uri = storage.join(storage.normalise(output), *SUMMARY)
    try:
        entries = json.loads(storage.read_bytes(uri))["review"]
        return list(ROWS.validate_python([{"rank": rank, **entry} for rank, entry in enumerate(entries, start=1)]))
    except MissingObjectError as exc:
        raise JobError(f"{uri} must exist, got nothing there; let the run finish first") from exc
    except (ValueError, KeyError, TypeError) as exc:
        reason = str(exc).splitlines()[0]
        raise JobError(f"{uri} must hold a review queue, got none ({reason}); run the same command again") from exc
