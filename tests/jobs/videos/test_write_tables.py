"""Videos summed up by finished runs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from inference_core.models.package import ModelPackage
from jobs.afterwards_config import VideosConfig
from jobs.config import JobConfig
from jobs.finalize import finalize
from jobs.plan import Plan
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import finish_job, list_job, plan_job, run_shards
from tests.jobs.test_finalize import note
from tests.serve.drawn_videos import draw_video


def read(config: JobConfig, name: str) -> list[dict[str, str]]:
    with (Path(config.output.removeprefix("file://")) / "report" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two videos of 10 frames a second, whose colours turn with each frame: red, green, blue."""
    folder = tmp_path / "videos"
    folder.mkdir()
    draw_video(folder / "b.mkv", 9)
    draw_video(folder / "a.mkv", 4)
    return folder


@pytest.fixture
def config(make_job: MakeJob, videos: Path) -> JobConfig:
    return make_job(input=str(videos), source__kind="videos", source__frames_per_s="all", execution__rows_per_shard=3)


@pytest.fixture
def plan(config: JobConfig, classifier: ModelPackage) -> Plan:
    """A run whose shards were done backwards."""
    made = plan_job(config, classifier)
    run_shards(config, classifier, made, reversed(range(len(list_job(config).shards))))
    note(config.output, started_s=1000.0)
    return made


def test_each_video_is_one_row_however_its_frames_were_spread(config: JobConfig, plan: Plan) -> None:
    finalize(config.output, plan)
    rows = read(config, "videos.csv")
    assert [(row["video_id"], row["frames"], row["failed"]) for row in rows] == [
        ("a.mkv", "4", "0"),
        ("b.mkv", "9", "0"),
    ]
    assert [float(row["end_s"]) for row in rows] == pytest.approx([0.4, 0.9])
    assert [row["majority_label"] for row in rows] == ["red", "red"]
    assert float(rows[0]["majority_frac"]) == pytest.approx(0.5)


def test_events_have_their_times(config: JobConfig, plan: Plan) -> None:
    finalize(config.output, plan)
    events = [row for row in read(config, "video_events.csv") if row["video_id"] == "a.mkv"]
    assert [event["label"] for event in events] == ["red", "green", "blue", "red"]
    assert [float(event["start_s"]) for event in events] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert [float(event["end_s"]) for event in events] == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    "settings",
    [
        VideosConfig(smooth="exponential", window_s=5.0),
        VideosConfig(smooth="median", window_s=5.0),
        VideosConfig(event_threshold=0.999999),
        VideosConfig(min_event_s=0.15),
    ],
    ids=lambda settings: str(settings.model_dump(exclude_defaults=True)),
)
def test_settings_change_the_events_and_nothing_else(config: JobConfig, plan: Plan, settings: VideosConfig) -> None:
    finalize(config.output, plan)
    before = read(config, "video_events.csv")
    finalize(config.output, plan, videos=settings)
    assert len(read(config, "video_events.csv")) < len(before)
    assert [row["frames"] for row in read(config, "videos.csv")] == ["4", "9"]


def test_runs_without_videos_have_no_such_tables(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    finish_job(config, classifier)
    assert not (Path(config.output.removeprefix("file://")) / "report" / "videos.csv").exists()
