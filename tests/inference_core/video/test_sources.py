"""Annotating sources of many kinds: frames, times, length and sound are those of the source."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from inference_core.commands.ordered_worker import OrderedWorker
from inference_core.commands.video_target import FileTarget
from inference_core.errors import StorageError
from inference_core.video.open_reader import open_reader
from inference_core.video.read_frames import FrameReader
from inference_core.video.write_video import VideoWriter
from inference_core.video_predictor import AnsweredFrame
from tests.serve.drawn_videos import encode_video, frame_pixels

NUM_FRAMES = 20


def annotate(source: Path, target: Path) -> FrameReader:
    """Read and write as the command does; the reader at its end."""
    with ExitStack() as stack:
        reader = open_reader(str(source), stack)
        assert isinstance(reader, FrameReader)
        with OrderedWorker() as worker:
            file = FileTarget(reader, target, stack, worker, has_audio=True, alpha=0.5)
            for frame in reader.read():
                file.write(AnsweredFrame(frame=frame, prediction=None, evidence=None, shown=None, track_ids=None))
    return reader


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]


def end_of(path: Path) -> float:
    with av.open(str(path)) as container:
        last = max((packet for packet in container.demux(video=0) if packet.pts is not None), key=lambda it: it.pts)
        return float((last.pts + last.duration) * last.time_base)


KINDS: dict[str, dict[str, Any]] = {
    "h264-b-frames.mp4": {"codec": "libx264", "bf": "3"},
    "h264-10-bit.mkv": {"codec": "libx264", "pixel_format": "yuv420p10le"},
    "h264-444.mp4": {"codec": "libx264", "pixel_format": "yuv444p"},
    "hevc.mp4": {"codec": "libx265", "x265-params": "log-level=error"},
    "hevc-10-bit.mkv": {"codec": "libx265", "pixel_format": "yuv420p10le", "x265-params": "log-level=error"},
    "av1.mkv": {"codec": "libsvtav1", "preset": "12"},
    "vp9.webm": {"codec": "libvpx-vp9", "auto-alt-ref": "1", "lag-in-frames": "10"},
    "vp8.webm": {"codec": "libvpx", "auto-alt-ref": "1", "lag-in-frames": "10"},
    "mpeg2.ts": {"codec": "mpeg2video", "bf": "2"},
    "h264.ts": {"codec": "libx264", "bf": "2"},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mjpeg.mov": {"codec": "mjpeg"},
    "pictures.gif": {"codec": "gif", "pixel_format": "rgb8"},
}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_are_those_of_the_source(tmp_path: Path, name: str, suffix: str) -> None:
    source = encode_video(tmp_path / name, num_frames=NUM_FRAMES, **KINDS[name])
    target = tmp_path / f"annotated{suffix}"
    reader = annotate(source, target)
    assert reader.num_frames == NUM_FRAMES
    expected = times_of(source)
    assert len(expected) == NUM_FRAMES
    # An .mkv counts in thousandths of a second, whatever the source does.
    np.testing.assert_allclose(times_of(target), expected, rtol=0, atol=1e-9 if suffix == ".mp4" else 5.1e-4)
    assert (reader.broken, reader.num_damaged) == ("", 0)


def test_the_last_frame_of_a_variable_rate_lasts_as_long(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "annotated.mp4"
    with VideoWriter(source, image_hw=(48, 64), time_base=Fraction(1, 1000), rate=Fraction(25)) as writer:
        for index, (time_ms, length_ms) in enumerate([(0, 40), (40, 1), (41, 159), (200, 1300), (1500, 700)]):
            writer.write(frame_pixels(index, image_hw=(48, 64)), pts=time_ms, duration_pts=length_ms)
    assert end_of(source) == pytest.approx(2.2)
    annotate(source, target)
    assert times_of(target) == times_of(source) == [0, 0.04, 0.041, 0.2, 1.5]
    assert end_of(target) == pytest.approx(2.2)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "annotated.mp4"
    with VideoWriter(
        source, image_hw=(48, 64), time_base=Fraction(1, 25), rate=Fraction(25), pixel_aspect=Fraction(4, 3)
    ) as writer:
        writer.write(frame_pixels(0, image_hw=(48, 64)), pts=0)
    annotate(source, target)
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


@pytest.mark.parametrize(("height", "colors"), [(480, 6), (720, 1)], ids=["BT.601", "BT.709"])
def test_colours_are_those_that_players_show(tmp_path: Path, height: int, colors: int) -> None:
    """A large picture whose colours are not named is taken for BT.709; here they are named, and meant."""
    path = tmp_path / "a.mp4"
    with VideoWriter(path, image_hw=(height, 64), time_base=Fraction(1, 25), rate=Fraction(25)) as writer:
        writer.write(np.full((height, 64, 3), (30, 200, 60), np.uint8), pts=0)
    with av.open(str(path)) as container:
        (frame,) = container.decode(video=0)
        assert frame.colorspace == colors
        pixels = frame.to_ndarray(format="rgb24").reshape(-1, 3)
    assert np.abs(pixels.astype(int) - (30, 200, 60)).max() <= 4


def test_a_source_that_changes_its_size_is_fitted_into_the_first(tmp_path: Path) -> None:
    parts = [encode_video(tmp_path / f"{hw[0]}.ts", codec="libx264", num_frames=30, image_hw=hw)
             for hw in ((48, 64), (96, 64))]  # fmt: skip
    source, target = tmp_path / "both.ts", tmp_path / "annotated.mp4"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert annotate(source, target).num_frames == 60
    with av.open(str(target)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    assert frames[-1][:, :12].max() < 40  # black beside a picture that is narrower
    assert frames[-1][:, 24:40].mean() > 30
    times_s = times_of(target)
    assert np.diff(times_s) == pytest.approx([0.04] * 59, abs=1e-3)  # though the second part begins anew


def add_sound(container: Any, codec: str, *, rate: int = 44100, seconds: float = 0.8) -> tuple[Any, list[Any]]:
    """A stream of sound and its packets."""
    stream = container.add_stream(codec, rate=rate)
    stream.codec_context.layout = "mono"
    size = stream.codec_context.frame_size or 1024
    packets = []
    for index in range(int(seconds * rate) // size):
        wave = np.sin(np.arange(index * size, (index + 1) * size) / 20).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, layout="mono", format="fltp")
        frame.sample_rate, frame.pts, frame.time_base = rate, index * size, Fraction(1, rate)
        packets += stream.encode(frame)
    return stream, packets + stream.encode(None)


@pytest.mark.parametrize(
    ("name", "sound"), [("a.avi", "libmp3lame"), ("a.ts", "aac"), ("a.mkv", "libopus"), ("a.mov", "ac3")]
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_is_that_of_the_source(tmp_path: Path, name: str, sound: str, suffix: str) -> None:
    source, target = tmp_path / name, tmp_path / f"annotated{suffix}"
    with av.open(str(source), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        _, packets = add_sound(container, sound, rate=48000)
        for index in range(20):
            pixels = frame_pixels(index, image_hw=(48, 64))
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(video.encode(None))
        container.mux(packets)
    annotate(source, target)
    expected, found = (packets_of(path, has_adts=path.suffix == ".ts") for path in (source, target))
    assert len(expected) > 20
    if suffix == ".mkv":  # nothing is before 0 there
        expected = [packet for packet in expected if packet[0] >= 0]
        found = found[-len(expected) :]
    assert [data for _, data in found] == [data for _, data in expected]
    assert [time_s for time_s, _ in found] == pytest.approx([time_s for time_s, _ in expected], abs=1e-3)
    with av.open(str(target)) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 30_000


def packets_of(path: Path, *, has_adts: bool) -> list[tuple[float, bytes]]:
    """Times and contents of sound; streams of MPEG have a header in each packet that files do without."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.pts is not None]
    return [(float(packet.pts * packet.time_base), bytes(packet)[7 if has_adts else 0 :]) for packet in packets]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").symlink_to("/dev/full")  # a device of Linux that takes nothing
    writer = VideoWriter(tmp_path / "a.mkv", image_hw=(48, 64), time_base=Fraction(1, 25), rate=Fraction(25))
    with pytest.raises(StorageError, match=r"a\.mkv must take what is written, got .*No space left.*; make room"):
        write_frames(writer, 100)


def test_what_else_cannot_be_written_is_to_go_elsewhere() -> None:
    with pytest.raises(StorageError, match=r"a\.mkv must take what is written, got .*; name another file"):  # noqa: PT012
        writer = VideoWriter(Path("/sys/a.mkv"), image_hw=(48, 64), time_base=Fraction(1, 25), rate=Fraction(25))
        write_frames(writer, 100)


def write_frames(writer: VideoWriter, count: int) -> None:
    with writer:
        for index in range(count):
            writer.write(frame_pixels(index, image_hw=(48, 64)), pts=index)
