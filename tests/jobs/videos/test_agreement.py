"""``millrace video`` and a job over the same file say the same of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from inference_core.commands.video import annotate_video
from inference_core.models.package import load_package
from inference_core.video.smooth import Smoothing
from tests.asset_packages import write_package
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import finish_job
from tests.serve.drawn_videos import draw_video, encode_video
from tests.tiny_models import tiny_classifier, tiny_segmenter


@pytest.mark.parametrize("task", ["classification", "segmentation"])
@pytest.mark.parametrize("smooth", ["none", "exponential", "median"])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.ts"])
def test_sums_and_events_are_the_same(
    tmp_path: Path, make_job: MakeJob, capsys: pytest.CaptureFixture[str], task: str, smooth: Smoothing, name: str
) -> None:
    (tmp_path / "videos").mkdir()
    clip = tmp_path / "videos" / name
    if name.endswith("ts"):
        encode_video(clip, codec="mpeg2video", num_frames=17)
    else:
        draw_video(clip, 17)
    model = (tiny_classifier if task == "classification" else tiny_segmenter)(tmp_path / "model")
    spec = yaml.safe_load((model / "model.yaml").read_text())
    spec["output"] = {"top_k": 3} if task == "classification" else {}  # all classes
    write_package(model, spec)
    annotate_video(
        str(clip), str(model), rows=tmp_path / "rows.jsonl", smooth=smooth, window_s=0.3, device="cpu", threads=1
    )
    report = json.loads(capsys.readouterr().out)
    config = make_job(
        model=str(model), input=str(clip.parent), source__kind="videos", source__frames_per_s="all",
        execution__rows_per_shard=5, videos__smooth=smooth, videos__window_s=0.3,
    )  # fmt: skip
    finish_job(config, load_package(str(model)))
    tables = Path(config.output.removeprefix("file://")) / "report"
    (video,), events = (
        list(csv.DictReader((tables / table).read_text().splitlines())) for table in ("videos.csv", "video_events.csv")
    )
    assert int(video["frames"]) == report["frames"] == 17
    for key in ("mean_label", "majority_label", "longest_label"):
        assert video[key] == report[key]
    for key in ("start_s", "end_s", "mean_score", "majority_frac", "longest_start_s", "longest_end_s"):
        assert float(video[key]) == pytest.approx(report[key], abs=1e-6)
    assert [event["label"] for event in events] == [event["label"] for event in report["events"]]
    for told, expected in zip(events, report["events"], strict=True):
        for key in ("start_s", "end_s", "num_frames", "score_mean", "score_max", "peak_s"):
            assert float(told[key]) == pytest.approx(expected[key], abs=1e-6)
    assert len(events) > 0
