"""``millrace video`` on drawn and real videos."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from inference_core.commands.video import annotate_video
from inference_core.errors import ConfigError
from tests.asset_packages import mobilenet_package, write_package
from tests.bright_box import BrightBox
from tests.rtsp_camera import Ending, rtsp_camera
from tests.serve.drawn_videos import draw_video, encode_video
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


def bright_box_package(folder: Path) -> str:
    """A detector that finds one box around what is bright."""
    folder.mkdir()
    torch.save(BrightBox().state_dict(), folder / "model.pt")
    spec = {
        "name": "bright-box",
        "task": "detection",
        "format": "state_dict",
        "weights": "model.pt",
        "architecture": {"import": "tests.bright_box:BrightBox"},
        "classes": ["dark", "bright"],
        "input": {"fit": "native", "multiple_px": 1},
        "output": {"decoder": {"name": "torchvision"}},
    }
    return str(write_package(folder, spec))


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


def test_damage_costs_the_frames_in_it_alone(
    tmp_path: Path, classifier: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = encode_video(tmp_path / "source.mp4", codec="mjpeg", num_frames=12)
    with av.open(str(source)) as container:
        packet = list(container.demux(video=0))[5]
    data = bytearray(source.read_bytes())
    assert packet.pos is not None
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    source.write_bytes(data)
    annotate_video(str(source), classifier, device="cpu", threads=1, out=tmp_path / "a.mp4")
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert (report["frames"], report["damaged"], report["broken"]) == (11, 1, "")
    assert "1 packets of the source are damaged and were left out" in told.err
    assert times_of(tmp_path / "a.mp4") == pytest.approx([index / 25 for index in range(12) if index != 5])


@pytest.mark.parametrize("ending", ["break", "stall"])
def test_what_a_stream_sent_before_it_broke_off_is_a_whole_file(
    tmp_path: Path, classifier: str, capsys: pytest.CaptureFixture[str], ending: Ending
) -> None:
    out = tmp_path / "annotated.mp4"
    with rtsp_camera(ending, num_frames=25) as camera:
        annotate_video(camera.url, classifier, device="cpu", threads=1, out=out, timeout_s=1.0)
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert report["frames"] == 25
    why = {"break": "the source ended it", "stall": "nothing came in time"}[ending]
    assert report["broken"] == why
    assert told.err == f"the source broke off and was read up to there: {why}\n"
    assert times_of(out) == pytest.approx([index / 10 for index in range(25)])


def test_a_request_to_stop_ends_the_file_as_it_should_be(tmp_path: Path, classifier: str) -> None:
    out = tmp_path / "annotated.mp4"
    code = "from inference_core.cli import main; main()"
    with rtsp_camera("break", num_frames=6000, pause_s=0.01) as camera:
        command = [sys.executable, "-c", code, "video", camera.url, "--model", classifier, "--rows", tmp_path / "rows"]
        with subprocess.Popen(
            [*map(str, command), "--out", str(out), "--device", "cpu"],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as started:
            while not (out.exists() and out.stat().st_size):  # the header of the first frame
                assert started.poll() is None
                time.sleep(0.05)
            started.terminate()
            printed, told = started.communicate(timeout=60)
    assert started.returncode == 0, told
    assert b"interrupted; what was seen until now is kept" in told
    assert 0 < json.loads(printed)["frames"] == len(times_of(out))


def test_objects_are_followed_where_answers_are_smoothed(tmp_path: Path, annotate: Any) -> None:
    model = bright_box_package(tmp_path / "model")
    source = tmp_path / "moving.mkv"
    with av.open(source, "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "bgr0"
        for index in range(12):
            pixels = np.zeros((32, 64, 3), np.uint8)
            if index not in (4, 7):  # it flickers
                pixels[8:24, 2 * index : 2 * index + 16] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    rows = tmp_path / "rows.jsonl"
    annotate(source, model, rows=rows)
    plain = [json.loads(line)["objects"] for line in rows.read_text().splitlines()]
    assert [len(objects) for objects in plain] == [index not in (4, 7) for index in range(12)]
    assert not any("track_id" in entry for objects in plain for entry in objects)
    report = annotate(source, model, rows=rows, smooth="exponential", out=tmp_path / "a.mp4")
    followed = [json.loads(line)["objects"] for line in rows.read_text().splitlines()]
    assert {entry.pop("track_id") for objects in followed for entry in objects} == {0}
    assert followed == plain  # rows say what the model said
    assert len(report["events"]) == 1
    with av.open(str(tmp_path / "a.mp4")) as container:
        drawn = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert drawn[4].max() > 150  # the box is shown where the object is unseen, too


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


def test_the_source_is_not_written_over(tmp_path: Path, classifier: str) -> None:
    source = draw_video(tmp_path / "drawn.mkv", 3)
    before = source.read_bytes()
    with pytest.raises(ConfigError, match=r"--out: must be another file than the source, got .*drawn\.mkv; name a new"):
        annotate_video(str(source), classifier, out=source)
    assert source.read_bytes() == before
