"""A run that is exported, and what of it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.export.annotated_image import AnnotatedImage, Wanted, annotated
from inference_core.export.coco import Shape
from inference_core.export.mask_files import PlaneOutput, read_plane
from inference_core.export.mask_runs import mask_of_runs
from inference_core.output_spec import TaskName

IMAGE_COLUMNS = ("row_id", "image_id", "uri", "status", "height", "width")
TASK_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "detection": ("objects",),
    "segmentation": ("classes",),
    "classification": ("class_id", "label", "score"),
    "multilabel": ("class_ids", "labels", "scores"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What is told, and how."""

    shape: Shape = "polygons"
    """Of objects with pixels in COCO."""
    min_score: float = 0.0
    min_area_px: int = 1
    with_scores: bool = False
    """Whether YOLO and VOC, whose labels have none, tell scores."""

    @property
    def wanted(self) -> Wanted:
        """Which objects are told."""
        return Wanted(min_score=self.min_score, min_area_px=self.min_area_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSource:
    """Committed rows, and what is known of the model that made them."""

    output: str
    """The run's folder or prefix, normalised."""
    task: TaskName
    classes: tuple[str, ...]
    model_name: str
    model_digest: str
    planes: PlaneOutput

    @property
    def mask_column(self) -> str | None:
        """Which column tells the mask; None of other tasks than segmentation.

        Raises:
            ConfigError: the run kept no masks.
        """
        if self.task != "segmentation":
            return None
        if self.planes.masks == "none":
            raise ConfigError(
                f"must hold masks to be annotated, got {storage.mask_secrets(self.output)} with results.masks: none; "
                "run it again with masks",
                key="output",
            )
        return "mask_rle" if self.planes.has_runs else "mask_path"

    @property
    def columns(self) -> list[str]:
        """Columns that annotations are made of."""
        mask = (self.mask_column,) if self.mask_column else ()
        return [*IMAGE_COLUMNS, *TASK_COLUMNS.get(self.task, ()), *mask]

    def annotated(self, rows: pa.Table, wanted: Wanted) -> Iterator[AnnotatedImage]:
        """The images that have an answer, in order; masks are read a few ahead."""
        good = rows.filter(pc.equal(rows["status"], "ok")).to_pylist()
        for row, mask in zip(good, self._masks(good), strict=True):
            yield annotated(row, task=self.task, mask=mask, wanted=wanted)

    def _masks(self, rows: list[dict[str, Any]]) -> Iterator[NDArray[Any] | None]:
        """The mask of each row, None of other tasks."""
        if self.mask_column is None:
            yield from [None] * len(rows)
        elif self.planes.has_runs:
            yield from (mask_of_runs(row["mask_rle"], image_hw=(row["height"], row["width"])) for row in rows)
        else:
            uris = [storage.join(self.output, *row["mask_path"].split("/")) for row in rows]
            for uri, outcome in zip(uris, storage.read_many(uris), strict=True):
                if isinstance(outcome, Exception):
                    raise outcome
                yield read_plane(outcome, origin=uri)
