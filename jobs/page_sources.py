"""Read from a run's output what its page shows besides statistics; what is not there, or damaged, is left out."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from io import BytesIO, StringIO

from PIL import Image
from pydantic import ValidationError

from inference_core import storage
from inference_core.errors import StorageError
from inference_core.safe_text import FORMULA_STARTS
from jobs.annotations import written_formats
from jobs.drift_reference import kept_reference
from jobs.plan import Plan
from jobs.report.page_extras import FileLink, PageExtras, ShownImage
from jobs.report.shown_evaluation import ShownEvaluation
from jobs.visuals.index import INDEX_FILE, DrawnImage, VisualIndex

MAX_IMAGES = 300
"""Drawn images on the page; ``visuals/`` has all."""
MAX_THUMBNAIL_BYTES = 3_500_000
"""Of all thumbnails together. A third more once they are text."""
MAX_PICTURE_BYTES = 2_000_000
"""Of all larger pictures together: those of the images that were drawn first."""
MAX_EXPLANATION_BYTES = 1_000_000
EXPLANATION_PX = 420
"""Longest side of an explanation's picture."""
READ_AHEAD = 8

REPORT_FILES = {
    "summary.json": "every figure of this page",
    "per_class.csv": "all classes",
    "review.csv": "the images to look at",
    "errors.csv": "every image without an answer",
    "evaluation.json": "the comparison with labels",
    "evaluation_classes.csv": "the comparison by class",
    "evaluation_confusion.csv": "which class was taken for which",
    "explanations.csv": "what answers come from",
    "videos.csv": "what each video shows",
    "video_events.csv": "when it shows it",
}


def read_extras(output: str, plan: Plan, *, annotations: Sequence[str] = ()) -> PageExtras:
    """Everything optional that a run's page shows.

    Args:
        output: the run's folder or prefix.
        plan: the run's.
        annotations: formats that will be written beside; those that are there are told in any case.
    """
    index = read_index(output, plan)
    reference = kept_reference(output)
    return PageExtras(
        images=shown_images(output, index.images[:MAX_IMAGES]) if index else (),
        num_drawn=len(index.images) if index else 0,
        explanations=read_explanations(output),
        evaluation=read_evaluation(output, plan),
        reference={name: part.counts for name, part in reference.histograms.items()} if reference else {},
        decisions=plan.decisions,
        links=tuple(
            find_links(
                output, plan, has_visuals=index is not None, annotations={*annotations, *written_formats(output)}
            )
        ),
    )


def read_index(output: str, plan: Plan) -> VisualIndex | None:
    """What was drawn of the run, None where nothing was."""
    try:
        index = VisualIndex.model_validate_json(read_below(output, INDEX_FILE))
    except (StorageError, ValidationError):
        return None
    return index if index.run_id == plan.run_id else None


def read_below(output: str, path: str) -> bytes:
    """A file below the output."""
    return storage.read_bytes(storage.join(output, *path.split("/")))


def shown_images(output: str, images: Sequence[DrawnImage]) -> tuple[ShownImage, ...]:
    """Drawn images with as many of their pictures as a page has room for, the first ones first."""
    thumbnails = read_within(output, [image.thumbnail for image in images], max_bytes=MAX_THUMBNAIL_BYTES)
    pictures = read_within(output, [image.picture for image in images], max_bytes=MAX_PICTURE_BYTES)
    return tuple(
        ShownImage(
            image_id=image.image_id,
            uri=image.uri,
            status=image.status,
            error=image.error,
            label=image.label,
            score=image.score,
            note=image.note,
            reasons=image.reasons,
            path=image.picture or "",
            thumbnail=thumbnail,
            thumbnail_hw=image.thumbnail_hw or (0, 0),
            picture=picture,
        )
        for image, thumbnail, picture in zip(images, thumbnails, pictures, strict=True)
    )


def read_within(output: str, paths: Sequence[str | None], *, max_bytes: int) -> list[bytes]:
    """The bytes of files, from the first on until the next would be too much; b"" for what is absent or left out."""
    named = [(place, path) for place, path in enumerate(paths) if path]
    found, left = [b""] * len(paths), max_bytes
    uris = [storage.join(output, *path.split("/")) for _, path in named]
    for (place, _), data in zip(named, storage.read_many(uris, concurrency=READ_AHEAD), strict=False):
        if isinstance(data, Exception):
            continue
        left -= len(data)
        if left < 0:
            break
        found[place] = data
    return found


def read_explanations(output: str) -> tuple[ShownImage, ...]:
    """The explained images of the review queue."""
    try:
        text = read_below(output, "report/explanations.csv").decode()
    except (StorageError, UnicodeDecodeError):
        return ()
    rows = [row for row in csv.DictReader(StringIO(text, newline="")) if row.get("picture")]
    left, shown = MAX_EXPLANATION_BYTES, []
    for row, data in zip(rows, read_within(output, [row["picture"] for row in rows], max_bytes=10**9), strict=True):
        image = explained_image(row, data)
        left -= len(image.thumbnail)
        shown.append(image if left >= 0 else replace(image, thumbnail=b""))
    return tuple(shown)


def explained_image(row: dict[str, str], data: bytes) -> ShownImage:
    """One explained image with a small copy of its picture."""
    thumbnail, size_hw = small_jpeg(data) if data else (b"", (0, 0))
    where = f" at {row['layer']}" if row["layer"] else ""
    return ShownImage(
        image_id=cell_text(row["image_id"]),
        uri=cell_text(row["uri"]),
        status="ok",
        error="",
        label=cell_text(row["label"]),
        score=float(row["score"]) if row["score"] else None,
        note=f"{row['method']}{where}",
        path=row["picture"],
        thumbnail=thumbnail,
        thumbnail_hw=size_hw,
    )


def cell_text(cell: str) -> str:
    """What ``csv_cell`` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA_STARTS) else cell


def small_jpeg(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """A picture that this run drew as a small JPEG, with its height and width."""
    with Image.open(BytesIO(data)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((EXPLANATION_PX, EXPLANATION_PX))
    written = BytesIO()
    small.save(written, "JPEG", quality=85)
    return written.getvalue(), (small.height, small.width)


def read_evaluation(output: str, plan: Plan) -> ShownEvaluation | None:
    """What ``millrace evaluate`` found of the run, None where it was not asked."""
    try:
        found = ShownEvaluation.model_validate_json(read_below(output, "report/evaluation.json"))
    except (StorageError, ValidationError):
        return None
    return found if found.run_id == plan.run_id else None


def find_links(output: str, plan: Plan, *, has_visuals: bool, annotations: Collection[str]) -> Iterator[FileLink]:
    """The run's files, from the page's folder."""
    written = {"summary.json", "per_class.csv", "review.csv", "errors.csv"}  # beside the page, maybe only after it
    there = written | {entry.path for entry in storage.list_objects(storage.join(output, "report"), recursive=False)}
    for name, words in REPORT_FILES.items():
        if name in there:
            yield FileLink(path=name, words=words)
    yield FileLink(path="../data/", words="one row for each image, Parquet")
    planes = plan.kept_planes
    if plan.task == "segmentation" and planes.has_mask_files:
        yield FileLink(path="../masks/", words="masks")
    if planes.has_maps:
        yield FileLink(path="../maps/", words="score maps")
    if has_visuals:
        yield FileLink(path="../visuals/", words="all pictures; index.json names them")
    if annotations:
        yield FileLink(path="../annotations/", words=", ".join(sorted(annotations)))
    yield FileLink(path="../plan.json", words="settings and model of the run")
