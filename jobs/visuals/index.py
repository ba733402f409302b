"""``visuals/index.json``: which images were drawn, why, and where their pictures are."""

from __future__ import annotations

from typing import Any

from inference_core.output_spec import TaskName
from inference_core.validation import Frozen

INDEX_FILE = "visuals/index.json"
INDEX_SCHEMA = 1


class DrawnReason(Frozen):
    """Why an image was drawn."""

    policy: str
    """``worst``, ``review``, ``per_error``, ``per_class`` or ``random``."""
    rank: int
    """From 1, in its policy, or in its class or error."""
    group: str
    """The class or the error; "" of the other policies."""


class DrawnImage(Frozen):
    """One image."""

    image_id: str
    row_id: int
    uri: str
    status: str
    error: str
    score: float | None
    """Null where the answer has none."""
    label: str
    """The best class or the number of objects in words; "" where there is none."""
    frame_index: int | None
    """Of a frame of a video."""
    time_s: float | None
    height: int
    """Of the image."""
    width: int
    reasons: tuple[DrawnReason, ...]
    """The first one names the folder of the picture."""
    picture: str | None
    """Path of a JPEG below the output; null where there are no pixels."""
    picture_hw: tuple[int, int] | None
    thumbnail: str | None
    """Path of a small JPEG, likewise."""
    thumbnail_hw: tuple[int, int] | None
    note: str
    """What is not as it should be: why there are no pixels, or no answer over them."""


class VisualIndex(Frozen):
    """All that was drawn."""

    schema_version: int = INDEX_SCHEMA
    run_id: str
    task: TaskName
    policies: dict[str, int]
    """How many images each policy was to give: ``worst``, ``random``, ``per_class``, ``per_error``, ``review``."""
    seed: int
    max: int
    num_wanted: int
    """Images that the policies name; more than ``images`` where there are more than ``max``."""
    num_all: int | None
    """Pictures below ``visuals/all/``; null where not all images were asked for."""
    images: tuple[DrawnImage, ...]
    """In the order in which the policies took turns."""


def label_of_row(row: dict[str, Any], *, task: TaskName) -> str:
    """The answer of a row in a few words."""
    if row["status"] != "ok":
        return ""
    match task:
        case "classification":
            return str(row["label"])
        case "multilabel":
            return ", ".join(row["labels"])
        case "detection":
            names = [entry["label"] for entry in row["objects"]]
            return ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names)) or "no object"
        case "segmentation":
            return ", ".join(f"{entry['label']} {entry['frac']:.1%}" for entry in row["classes"])
        case "embedding":
            return ""
