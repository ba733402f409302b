"""A row's picture and its thumbnail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from inference_core.output_spec import TaskName
from inference_core.records import Uint8Array
from inference_core.results import Detection, Result, Segmentation
from inference_core.visualize.charts import add_legend
from inference_core.visualize.draw import draw_result
from inference_core.visualize.overlay import BACKGROUND
from inference_core.visualize.picture_size import fitted_hw, scale_pixels, working_copy
from jobs.visuals.request import VisualRequest
from jobs.visuals.result_of_row import result_of_row
from jobs.visuals.shard_images import RowImage

JPEG_QUALITY = 88
NO_MASK = "drawn without its mask, which the run did not keep (results.masks: none)"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRow:
    """What is written of a row; empty where it has no pixels."""

    picture: bytes = b""
    """JPEG."""
    thumbnail: bytes = b""
    """JPEG."""
    picture_hw: tuple[int, int] = (0, 0)
    thumbnail_hw: tuple[int, int] = (0, 0)
    note: str = ""
    """What is not as it should be."""


def draw_row(
    image: RowImage, *, request: VisualRequest, task: TaskName, class_names: Sequence[str], output: str
) -> DrawnRow:
    """Draw a row's answer over its image, or the image alone where it has none.

    Args:
        image: the row and its pixels.
        request: how it is drawn.
        task: of the run.
        class_names: of the run.
        output: the run's folder or prefix.

    Raises:
        JobError: a mask is gone or damaged.
    """
    if image.pixels is None:
        return DrawnRow(note=image.note)
    result, note = None, image.note
    if image.row["status"] == "ok" and not note:
        result = result_of_row(image.row, task=task, class_names=class_names, output=output)
        note = NO_MASK if result is None and task == "segmentation" else ""
    picture, body = draw_both(image.pixels, result, request=request)
    thumbnail = scale_pixels(body, fitted_hw(body.shape[:2], max_side_px=request.settings.thumbnail_px))
    return DrawnRow(
        picture=encode_jpeg(picture),
        thumbnail=encode_jpeg(thumbnail),
        picture_hw=(picture.shape[0], picture.shape[1]),
        thumbnail_hw=(thumbnail.shape[0], thumbnail.shape[1]),
        note=note,
    )


def draw_both(pixels: Uint8Array, result: Result | None, *, request: VisualRequest) -> tuple[Uint8Array, Uint8Array]:
    """The picture with what stands beside it, and the image in it, whose thumbnail is worth looking at."""
    settings = request.settings
    if result is None:
        copy = scale_pixels(pixels, fitted_hw(pixels.shape[:2], max_side_px=settings.picture_px))
        return copy, copy
    copy, scaled = working_copy(pixels, result, max_side_px=settings.picture_px)
    drawn = draw_result(copy, scaled, alpha=settings.alpha, palette=request.palette, has_legend=False)
    if isinstance(scaled, Segmentation):
        return add_legend(drawn, scaled, palette=request.palette, background=BACKGROUND), drawn
    return drawn, drawn if isinstance(scaled, Detection) else copy


def encode_jpeg(picture: Uint8Array) -> bytes:
    """A picture as JPEG, the same bytes for the same pixels."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return bytes(data)
