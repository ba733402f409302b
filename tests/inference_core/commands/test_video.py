"""``millrace video`` on drawn and real videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import pytest

from inference_core.commands.video import annotate_video
from inference_core.errors import ConfigError
from tests.asset_packages import mobilenet_package
from tests.serve.drawn_videos import draw_video
from tests.tiny_models import tiny_classifier, tiny_segmenter


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_classifier(tmp_path_factory.mktemp("classifier")))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_segmenter(tmp_path_factory.mktemp("segmenter")))


@pytest.fixture
def annotate(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(source: Path, model: str, **options: Any) -> dict[str, Any]:
        annotate_video(str(source), model, device="cpu", threads=1, **options)
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return report

    return run


def times_of(path: Path) -> list[float | None]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.mark.assets
def test_a_real_clip_keeps_its_frames_and_times(assets: Path, tmp_path: Path, annotate: Any) -> None:
    source, out = assets / "video" / "realshort.mp4", tmp_path / "annotated.mp4"
    report = annotate(source, str(mobilenet_package(tmp_path / "model", assets)), out=out, rows=tmp_path / "rows.jsonl")
    assert times_of(out) == times_of(source)
    assert (report["frames"], report["predicted"], report["failed"], report["broken"]) == (36, 36, 0, "")
    assert report["end_s"] == pytest.approx(1.1992)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["frame_index"] for row in rows] == list(range(36))
    assert [row["time_s"] for row in rows] == pytest.approx(times_of(source), abs=1e-6)
    assert len(rows[0]["top_k"]) == 1000  # smoothing and sums need all classes


def test_all_frames_are_written_where_few_are_predicted(tmp_path: Path, classifier: str, annotate: Any) -> None:
    source, out = draw_video(tmp_path / "drawn.mkv", 20), tmp_path / "annotated.mkv"
    report = annotate(source, classifier, out=out, rows=tmp_path / "rows.jsonl", fps=2.5)
    assert (report["frames"], report["predicted"]) == (20, 5)
    assert len(times_of(out)) == 20
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["frame_index"] for row in rows] == [0, 4, 8, 12, 16]
    assert [row["label"] for row in rows] == ["red", "green", "blue", "red", "green"]


def test_smoothing_takes_the_flicker_out_of_events(tmp_path: Path, classifier: str, annotate: Any) -> None:
    source = draw_video(tmp_path / "drawn.mkv", 18)
    plain = annotate(source, classifier, rows=tmp_path / "a.jsonl")
    smooth = annotate(source, classifier, rows=tmp_path / "a.jsonl", smooth="exponential", window_s=20.0)
    assert len(plain["events"]) == 18
    assert len(smooth["events"]) < 5


@pytest.mark.parametrize("method", ["none", "exponential", "median"])
def test_masks_are_drawn_into_frames(tmp_path: Path, segmenter: str, annotate: Any, method: str) -> None:
    source, out = draw_video(tmp_path / "drawn.mkv", 6), tmp_path / "annotated.mp4"
    report = annotate(source, segmenter, out=out, smooth=method)
    assert report["mean_label"] in ("green", "blue")  # red is class 0, the background
    assert len(times_of(out)) == 6


def test_a_source_can_be_ended_early(tmp_path: Path, classifier: str, annotate: Any) -> None:
    report = annotate(draw_video(tmp_path / "drawn.mkv", 20), classifier, rows=tmp_path / "a.jsonl", max_s=0.5)
    assert report["frames"] == 5


def test_a_file_that_was_cut_off_is_kept_up_to_there(tmp_path: Path, classifier: str, annotate: Any) -> None:
    data = draw_video(tmp_path / "whole.mkv", 20).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 2 // 3])
    report = annotate(tmp_path / "cut.mkv", classifier, out=tmp_path / "a.mp4")
    assert 5 < report["frames"] == len(times_of(tmp_path / "a.mp4")) < 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--out: must be named where nothing else is asked for; or give --rows or --show"),
        ({"out": Path("a.avi")}, "out: must end in .mp4"),
        (
            {"show": True},
            r"--show: needs a display, got none \(DISPLAY is not set\); write a file with --save or --out",
        ),
        ({"rows": Path("a.jsonl"), "smooth": "mean"}, "--smooth: must be one of none, exponential, median"),
        ({"rows": Path("a.jsonl"), "fps": 0.0}, "fps: must be above 0, got 0.0; leave it out for all frames"),
    ],
)
def test_wrong_options_are_told_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match=message):
        annotate_video("no.mp4", "no-model", **options)
