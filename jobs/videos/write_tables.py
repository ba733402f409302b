"""``report/videos.csv`` and ``report/video_events.csv``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from inference_core import storage
from inference_core.video.events import VideoEvent
from inference_core.video.evidence import DEFAULT_THRESHOLDS
from inference_core.video.timeline import VideoSummary
from jobs.afterwards_config import VideosConfig
from jobs.finished_run import FinishedRun
from jobs.report.csv_files import Cell, write_csv
from jobs.stage_progress import Stages, silent_stages
from jobs.videos.sum_up import SummedVideo, has_videos, sum_up_videos

VIDEO_COLUMNS = tuple(field.name for field in fields(VideoSummary) if field.name not in ("num_frames", "events"))
EVENT_COLUMNS = tuple(field.name for field in fields(VideoEvent))
VIDEOS, EVENTS = "report/videos.csv", "report/video_events.csv"


def write_video_tables(run: FinishedRun, settings: VideosConfig, *, stages: Stages = silent_stages) -> None:
    """Write what the videos of a run show, and when; nothing where there are none, or the task has no classes.

    Args:
        run: all of whose shards are committed.
        settings: how they are summed up.
        stages: show how far it is.
    """
    if not has_videos(run.plan) or run.plan.task not in DEFAULT_THRESHOLDS:
        return
    videos: list[list[Cell]] = []
    events: list[list[Cell]] = []
    for video in shown_videos(run, settings, stages=stages):
        values = [getattr(video.summary, name) for name in VIDEO_COLUMNS]
        counts: list[Cell] = [video.num_frames, video.num_failed, len(video.summary.events)]
        videos.append([video.video_id, video.uri, *counts, *values])
        events += [
            [video.video_id, *(getattr(event, name) for name in EVENT_COLUMNS)] for event in video.summary.events
        ]
    header = ("video_id", "uri", "frames", "failed", "num_events", *VIDEO_COLUMNS)
    storage.replace(run.uri_of(VIDEOS), write_csv(header, videos))
    storage.replace(run.uri_of(EVENTS), write_csv(("video_id", *EVENT_COLUMNS), events))


def shown_videos(run: FinishedRun, settings: VideosConfig, *, stages: Stages) -> Iterator[SummedVideo]:
    """Each video, while the frames of a run are counted; images that are no frames count at the end."""
    num_rows = num_left = run.listing.num_rows
    with stages("videos", total=num_rows) as advance:
        for video in sum_up_videos(run, settings):
            yield video
            advance(video.num_frames)
            num_left -= video.num_frames
        advance(num_left)
