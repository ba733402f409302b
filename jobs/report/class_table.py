"""One row for each class, as the report's CSV, JSON and page show it."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.stats.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """What one class got."""

    class_id: int
    label: str
    images: int
    """Images that got the class: as the best one, or in at least one pixel."""
    images_frac: float
    """Share of the images with status ok."""
    pixels: int
    """0 for classification."""
    pixels_frac: float
    """Share of the pixels of images with status ok; 0 for classification."""
    score_mean: float | None
    """Over the images that got the class; None where none did."""


def class_rows(summary: Summary) -> list[ClassRow]:
    """A row for each class, by class id."""
    num_ok, num_pixels = max(summary.status["ok"], 1), max(sum(summary.classes.pixels), 1)
    return [
        ClassRow(
            class_id=class_id,
            label=label,
            images=images,
            images_frac=images / num_ok,
            pixels=pixels,
            pixels_frac=pixels / num_pixels,
            score_mean=summary.classes.score_mean(class_id),
        )
        for class_id, (label, images, pixels) in enumerate(
            zip(summary.class_names, summary.classes.images, summary.classes.pixels, strict=True)
        )
    ]


def label_of(summary: Summary, class_id: int) -> str:
    """The class's name, "" for -1, which stands for no single class."""
    return "" if class_id < 0 else summary.class_names[class_id]
