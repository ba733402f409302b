"""The images that a person should look at first, as the report's CSV, JSON and page show them."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.stats.quality import QueuedImage
from inference_core.stats.summary import Summary
from jobs.report.class_table import label_of

MAX_REVIEW_SHOWN = 50
"""On the page; ``review.csv`` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """One image to look at."""

    rank: int
    """From 1, in the order in which to look."""
    image_id: str
    uri: str
    score: float | None
    """None where the answer has none."""
    class_id: int
    """The best class, -1 where there is no single one."""
    label: str
    """Its name."""
    verdict: str = ""
    """``review`` or ``reject``; "" where the package declares no ``quality``."""
    reasons: tuple[str, ...] = ()
    """Of the verdict."""
    priority: float | None = None
    """How uncertain the answer is and how far its forwards disagree, 0 to 1; None without ``quality``."""


def review_rows(summary: Summary) -> list[ReviewRow]:
    """The images to look at, first those to look at first: by verdict and priority where the package declares
    ``quality``, else those with the lowest scores.
    """
    if summary.quality.verdicts:
        queue = summary.quality.queue
        return [queued_row(rank, image, label=label_of(summary, image.class_id)) for rank, image in enumerate(queue, 1)]
    return [
        ReviewRow(
            rank=rank,
            image_id=entry.image_id,
            uri=entry.uri,
            score=entry.score,
            class_id=entry.class_id,
            label=label_of(summary, entry.class_id),
        )
        for rank, entry in enumerate(summary.review.entries, start=1)
    ]


def queued_row(rank: int, image: QueuedImage, *, label: str) -> ReviewRow:
    """One image of the queue of verdicts."""
    return ReviewRow(
        rank=rank,
        image_id=image.image_id,
        uri=image.uri,
        score=image.score,
        class_id=image.class_id,
        label=label,
        verdict=image.verdict,
        reasons=image.reasons,
        priority=image.priority,
    )
