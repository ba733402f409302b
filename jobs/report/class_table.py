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
    """Images that got the class: as the best one, over its threshold, or in at least one box or pixel."""
    images_frac: float
    """Share of the images with status ok."""
    objects: int
    """Boxes of the class; 0 but for detection."""
    pixels: int
    """0 but for segmentation."""
    pixels_frac: float
    """Share of the pixels of images with status ok; 0 but for segmentation."""
    score_mean: float | None
    """Over the images that got the class; None where none did."""


def class_rows(summary: Summary) -> list[ClassRow]:
    """A row for each class, by class id."""
    counts = summary.classes
    num_ok, num_pixels = max(summary.status["ok"], 1), max(sum(counts.pixels), 1)
    return [
        ClassRow(
            class_id=class_id,
            label=label,
            images=images,
            images_frac=images / num_ok,
            objects=objects,
            pixels=pixels,
            pixels_frac=pixels / num_pixels,
            score_mean=counts.score_mean(class_id),
        )
        for class_id, (label, images, objects, pixels) in enumerate(
            zip(summary.class_names, counts.images, counts.objects, counts.pixels, strict=True)
        )
    ]


def label_of(summary: Summary, class_id: int) -> str:
    """The class's name, "" for -1, which stands for no single class."""
    return "" if class_id < 0 else summary.class_names[class_id]
