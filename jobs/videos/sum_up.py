"""Sum up the videos of a finished run, one after the other, from the rows of their frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from inference_core.output_spec import TaskName
from inference_core.video.evidence import DEFAULT_THRESHOLDS, evidence_of_row
from inference_core.video.smooth import ScoreSmoother
from inference_core.video.timeline import TimelineFold, VideoSummary
from jobs.afterwards_config import VideosConfig
from jobs.finished_run import FinishedRun, read_rows
from jobs.plan import Plan
from jobs.sources.video_frames import VIDEO_ENDINGS

FACT_COLUMNS = ("image_id", "uri", "status", "frame_index", "time_s")
EVIDENCE_COLUMNS: dict[TaskName, tuple[str, ...]] = {
    "classification": ("top_k",),
    "multilabel": ("top_k",),
    "detection": ("objects.list.element.class_id", "objects.list.element.score"),
    "segmentation": ("classes.list.element.class_id", "classes.list.element.frac"),
    "embedding": (),
}
"""As Parquet names them; masks of objects are not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummedVideo:
    """One video."""

    video_id: str
    """Its frames' ids begin with it."""
    uri: str
    num_frames: int
    """Rows."""
    num_failed: int
    """Of them without an answer."""
    summary: VideoSummary


def has_videos(plan: Plan) -> bool:
    """Whether the input are videos: files of a folder are frames only where ``source.kind`` says so."""
    names = (str(uri).lower() for uri in plan.config["input"])
    return plan.config["source"]["kind"] == "videos" or any(name.endswith(VIDEO_ENDINGS) for name in names)


def sum_up_videos(run: FinishedRun, settings: VideosConfig) -> Iterator[SummedVideo]:
    """Each video of a run, in the order of the listing. No more than a part of its rows is held at a time.

    Args:
        run: all of whose shards are committed; frames of a video stand together in it, by their time.
        settings: how.
    """
    for video_id, rows in groupby(frame_rows(run), key=video_of):
        yield sum_up(video_id, rows, task=run.plan.task, class_names=run.plan.classes, settings=settings)


def frame_rows(run: FinishedRun) -> Iterator[dict[str, Any]]:
    """The rows of all frames of videos, in the order of the listing."""
    columns = [*FACT_COLUMNS, *EVIDENCE_COLUMNS[run.plan.task]]
    for data in run.read_data(range(len(run.data_paths))):
        for row in read_rows(data, columns=columns).to_pylist():
            if row["time_s"] is not None:
                yield row


def video_of(row: dict[str, Any]) -> str:
    """The video of a frame, whose id is that with the frame's number behind it."""
    video_id, _, _ = str(row["image_id"]).rpartition("/")
    return video_id


def sum_up(
    video_id: str,
    rows: Iterable[dict[str, Any]],
    *,
    task: TaskName,
    class_names: Sequence[str],
    settings: VideosConfig,
) -> SummedVideo:
    """One video; frames without an answer are left out of its times.

    Args:
        video_id: of it.
        rows: of its frames, by their times; one at least.
        task: of the model.
        class_names: of the model.
        settings: how.
    """
    threshold = DEFAULT_THRESHOLDS[task] if settings.event_threshold is None else settings.event_threshold
    timeline = TimelineFold(class_names, threshold=threshold, min_event_s=settings.min_event_s)
    smoother = ScoreSmoother(settings.smooth, window_s=settings.window_s)
    uri, num_frames, num_failed = "", 0, 0
    for row in rows:
        uri = uri or row["uri"]
        num_frames += 1
        if row["status"] != "ok":
            num_failed += 1
            continue
        evidence = evidence_of_row(row, task=task, num_classes=len(class_names))
        timeline.add(smoother.update(evidence, time_s=row["time_s"]), time_s=row["time_s"])
    return SummedVideo(
        video_id=video_id, uri=uri, num_frames=num_frames, num_failed=num_failed, summary=timeline.finish()
    )
