"""A job over videos on several workers, one of which is killed: every frame once, in the order of its time."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import yaml

from inference_core.models.package import load_package
from jobs.config import JobConfig
from jobs.driver import run
from jobs.progress import Counter, LineProgress
from jobs.settings import read_settings
from tests.asset_packages import write_package
from tests.jobs.local_run import TIMES, finish_job, read_rows
from tests.serve.drawn_videos import draw_video, encode_video
from tests.strikes import POISON_RGB
from tests.tiny_models import tiny_classifier

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]

NUM_FRAMES = {"a.mkv": 23, "b.ts": 40, "c.mp4": 31, "d.mkv": 6}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of them, of containers that can seek and that cannot; the last one has a deadly frame."""
    folder = tmp_path_factory.mktemp("videos")
    draw_video(folder / "a.mkv", NUM_FRAMES["a.mkv"])
    encode_video(folder / "b.ts", codec="mpeg2video", num_frames=NUM_FRAMES["b.ts"])
    encode_video(folder / "c.mp4", codec="libx264", num_frames=NUM_FRAMES["c.mp4"], bf="2")
    with av.open(folder / "d.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 24, 32, "bgr0"
        for index in range(NUM_FRAMES["d.mkv"]):
            color = POISON_RGB if index == 3 else (200, 40 * index, 0)
            pixels = np.full((24, 32, 3), color, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return folder


def job(model: Path, videos: Path, output: Path) -> JobConfig:
    flags = {"model": str(model), "input": str(videos), "output": str(output)}
    options = {
        "source.kind": "videos",
        "source.frames_per_s": "all",
        "videos.smooth": "exponential",
        "execution.rows_per_shard": 7,
        "execution.head_start": "false",
        "execution.layout": "whole",
        "execution.actors": 2,
        "execution.device": "cpu",
    }
    return read_settings(None, flags=flags, assignments=[f"{key}={value}" for key, value in options.items()])


def answers(output: str | Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in read_rows(output)]


@pytest.mark.usefixtures("local_ray")
def test_frames_are_complete_and_in_order_after_a_worker_was_killed(videos: Path, tmp_path: Path) -> None:
    marker = tmp_path / "killed"
    model = tiny_classifier(tmp_path / "model")
    spec = yaml.safe_load((model / "model.yaml").read_text())
    strike = {"import": "tests.strikes:strike_once", "options": {"marker": str(marker)}}
    write_package(model, {**spec, "input": {**spec["input"], "filters": [strike]}})
    config = job(model, videos, tmp_path / "out")
    run(config, show=lambda state: LineProgress(Counter(total=100, done=0), log_format="json"))
    assert marker.exists()  # a worker was killed
    rows = answers(config.output)
    assert {row["status"] for row in rows} == {"ok"}
    by_video = {name: list(found) for name, found in groupby(rows, key=lambda row: row["image_id"].rpartition("/")[0])}
    assert {name: len(found) for name, found in by_video.items()} == NUM_FRAMES
    for found in by_video.values():
        assert [row["frame_index"] for row in found] == list(range(len(found)))
        times_s = [row["time_s"] for row in found]
        assert times_s == sorted(set(times_s))
    undisturbed = job(model, videos, tmp_path / "one")
    finish_job(undisturbed, load_package(str(model)))
    assert rows == answers(undisturbed.output)
    for name in ("videos.csv", "video_events.csv"):
        told, expected = ((tmp_path / output / "report" / name).read_text() for output in ("out", "one"))
        assert told == expected
        assert len(told.splitlines()) > len(NUM_FRAMES)
