"""What two runs over the same images with the same model have in common, however they went."""

from __future__ import annotations

import json
from typing import Any

from inference_core import storage

CSV_FILES = ("per_class.csv", "errors.csv", "review.csv")


def summary_of(output: str) -> dict[str, Any]:
    """The report's numbers without what may differ."""
    return comparable(storage.read_bytes(storage.join(storage.normalise(output), "report", "summary.json")))


def comparable(summary_json: bytes) -> dict[str, Any]:
    """A summary without the run's own facts and its times."""
    return {key: value for key, value in json.loads(summary_json).items() if key not in ("run", "timings")}


def csv_files_of(output: str) -> dict[str, bytes]:
    """The report's tables."""
    report = storage.join(storage.normalise(output), "report")
    return {name: storage.read_bytes(storage.join(report, name)) for name in CSV_FILES}


def success_of(output: str) -> dict[str, Any]:
    """What says that the run is whole, but for the run's name."""
    success: dict[str, Any] = json.loads(storage.read_bytes(storage.join(storage.normalise(output), "_SUCCESS")))
    return success | {"run_id": ""}
