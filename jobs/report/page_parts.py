"""What the page shows, chosen and ordered; the template only lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from inference_core.output_spec import TaskName
from inference_core.stats.summary import Summary
from inference_core.status import Status
from jobs.report.class_table import ClassRow, class_rows
from jobs.report.csv_files import sorted_errors
from jobs.report.facts import ErrorRow, RunFacts

MAX_CLASSES_SHOWN = 1000
MAX_ERRORS_SHOWN = 200
"""For each status."""
MAX_REASONS_SHOWN = 5

STATUS_WORDS: dict[Status, str] = {
    "ok": "has an answer",
    "fetch_error": "the bytes could not be read",
    "decode_error": "the bytes are not a whole, valid image",
    "too_large": "over a byte, pixel or frame limit",
    "unsupported": "a format or variant that is not read",
    "infer_error": "the model gave no usable answer",
    "oom": "did not fit the device's memory, even alone",
    "crashed": "ended the process that worked on it",
}


SIZE_OF_CLASS: dict[TaskName, str] = {"segmentation": "pixels", "detection": "objects"}
"""What tells large classes from small ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBar:
    """A class and the length of its bar."""

    row: ClassRow
    length_frac: float
    """Of the longest bar."""


def class_bars(summary: Summary) -> list[ClassBar]:
    """The largest classes, at most 1,000: by pixels, by objects, or by images where there are neither."""
    size_of = attrgetter(SIZE_OF_CLASS.get(summary.task, "images"))
    sized = [(size_of(row), row) for row in class_rows(summary) if row.images]
    sized.sort(key=lambda pair: (-pair[0], pair[1].class_id))
    return [ClassBar(row=row, length_frac=size / sized[0][0]) for size, row in sized[:MAX_CLASSES_SHOWN]]


PROCESS_WORDS: dict[str, str] = {
    "driver": "command",
    "workers": "worker",
    "prepare": "preparing task",
    "infer": "inferring actor",
    "commit": "committing task",
    "quarantine": "child in quarantine",
}
"""What the processes of a pool are called, in the order of the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRow:
    """The largest process of one kind."""

    words: str
    peak_bytes: int
    length_frac: float
    """Of the longest bar."""


def memory_rows(facts: RunFacts) -> list[MemoryRow]:
    """A row for each kind of process whose memory is known."""
    peaks = facts.peaks
    known = dict(peaks.bytes_by_pool) | ({"driver": peaks.driver_bytes} if peaks.driver_bytes else {})
    largest = max(known.values(), default=1)
    return [
        MemoryRow(words=words, peak_bytes=known[kind], length_frac=known[kind] / largest)
        for kind, words in PROCESS_WORDS.items()
        if kind in known
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """The images of one status."""

    status: Status
    words: str
    """What the status means."""
    count: int
    reasons: list[tuple[str, int]]
    """The most frequent error texts, most frequent first; those that occur once are left out."""
    rows: list[ErrorRow]
    """The first 200."""


def error_groups(errors: Iterable[ErrorRow]) -> list[ErrorGroup]:
    """The errors by status."""
    groups = groupby(sorted_errors(errors), key=lambda row: row.status)
    return [_error_group(status, list(rows)) for status, rows in groups]


def _error_group(status: Status, rows: list[ErrorRow]) -> ErrorGroup:
    counts = Counter(row.error for row in rows)
    reasons = sorted(
        ((text, count) for text, count in counts.items() if count > 1), key=lambda pair: (-pair[1], pair[0])
    )
    return ErrorGroup(
        status=status,
        words=STATUS_WORDS[status],
        count=len(rows),
        reasons=reasons[:MAX_REASONS_SHOWN],
        rows=rows[:MAX_ERRORS_SHOWN],
    )
