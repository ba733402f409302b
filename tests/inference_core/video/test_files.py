"""Videos read and written: times, sound, and files that are not as they should be."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from inference_core.errors import ConfigError
from inference_core.video import write_video
from inference_core.video.open_video import is_live, open_video
from inference_core.video.read_frames import FrameReader, VideoFrame
from inference_core.video.sample_frames import FrameSampler
from inference_core.video.write_video import VideoWriter
from tests.serve.drawn_videos import draw_video, frame_pixels


@dataclass(frozen=True)
class Facts:
    """What an independent look at a file tells."""

    frame_times: list[float | None]
    last_end: Fraction
    """When the last frame ends."""
    audio: list[bytes]
    """Packets of sound."""


def facts_of(path: Path) -> Facts:
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.pts is not None]
        last = max(packets, key=lambda packet: packet.pts)
        end = (last.pts + last.duration) * last.time_base
    with av.open(str(path)) as container:
        sound = [
            bytes(packet) for packet in container.demux() if packet.stream.type == "audio" and packet.dts is not None
        ]
    return Facts(times, Fraction(end), sound)


def read_all(path: Path) -> tuple[list[VideoFrame], FrameReader]:
    with open_video(str(path)) as container:
        reader = FrameReader(container)
        return list(reader.read()), reader


def copy_video(source: Path, target: Path, *, has_audio: bool = True) -> None:
    """Decode and encode again, as an annotated video is made."""
    with open_video(str(source)) as container:
        reader = FrameReader(container)
        audio = reader.audio if has_audio else []
        with VideoWriter(
            target, image_hw=(240, 320), time_base=reader.time_base, rate=reader.rate, audio=audio
        ) as writer:
            reader.on_audio = writer.write_audio
            for frame in reader.read():
                writer.write(frame.pixels, pts=frame.pts, duration_pts=frame.duration_pts)


@pytest.mark.assets
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_written_video_has_the_frames_times_length_and_sound_of_its_source(
    assets: Path, tmp_path: Path, suffix: str
) -> None:
    source, target = assets / "video" / "realshort.mp4", tmp_path / f"copy{suffix}"
    copy_video(source, target)
    expected, found = facts_of(source), facts_of(target)
    assert len(found.frame_times) == 36
    assert found.frame_times == expected.frame_times
    assert found.last_end == expected.last_end
    assert found.audio == expected.audio
    assert len(found.audio) > 50


@pytest.mark.assets
def test_sound_can_be_left_out(assets: Path, tmp_path: Path) -> None:
    copy_video(assets / "video" / "realshort.mp4", tmp_path / "silent.mp4", has_audio=False)
    assert facts_of(tmp_path / "silent.mp4").audio == []


def test_a_variable_rate_stays_as_it_is(tmp_path: Path) -> None:
    times_ms = [0, 40, 41, 200, 1500, 1533]
    with VideoWriter(tmp_path / "vfr.mp4", image_hw=(24, 32), time_base=Fraction(1, 1000), rate=Fraction(25)) as writer:
        for index, time_ms in enumerate(times_ms):
            writer.write(frame_pixels(index), pts=time_ms, duration_pts=33)
    frames, _ = read_all(tmp_path / "vfr.mp4")
    assert [frame.time_s for frame in frames] == [time_ms / 1000 for time_ms in times_ms]
    assert [frame.frame_index for frame in frames] == list(range(6))
    assert [frame.pts for frame in frames] == sorted({frame.pts for frame in frames})


def test_frames_come_upright_as_drawn(tmp_path: Path) -> None:
    frames, reader = read_all(draw_video(tmp_path / "drawn.mkv", 3))
    assert all((frame.pixels == frame_pixels(frame.frame_index)).all() for frame in frames)
    assert reader.broken == ""


def test_a_video_that_was_filmed_on_its_side_is_turned(tmp_path: Path) -> None:
    path = tmp_path / "side.mp4"
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :16] = 255  # the left edge, which is up once the phone is held upright
    with VideoWriter(path, image_hw=(32, 64), time_base=Fraction(1, 10), rate=Fraction(10)) as writer:
        writer.write(picture, pts=0, duration_pts=1)
    one = (65536).to_bytes(4, "big")
    unit, zero, end = one, bytes(4), (0x40000000).to_bytes(4, "big")
    identity = unit + zero * 3 + unit + zero * 3 + end
    quarter = zero + unit + zero + (-65536).to_bytes(4, "big", signed=True) + zero * 4 + end  # clockwise
    data = path.read_bytes()
    at = data.index(identity, data.index(b"tkhd"))
    path.write_bytes(data[:at] + quarter + data[at + len(identity) :])
    (frame,), _ = read_all(path)
    assert frame.pixels.shape == (64, 32, 3)
    assert frame.pixels[:12].min() > 200
    assert frame.pixels[20:].max() < 60


@pytest.mark.parametrize("hw", [(24, 32), (25, 33), (1, 1)], ids=["even", "odd", "one pixel"])
def test_sides_are_made_even(tmp_path: Path, hw: tuple[int, int]) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, image_hw=hw, time_base=Fraction(1, 25), rate=Fraction(25)) as writer:
        writer.write(np.full((*hw, 3), 200, np.uint8), pts=0)
    (frame,), _ = read_all(path)
    assert frame.pixels.shape == (hw[0] + hw[0] % 2, hw[1] + hw[1] % 2, 3)
    assert abs(int(frame.pixels.mean()) - 200) < 8


@pytest.mark.assets
def test_of_a_file_that_was_cut_off_what_there_is_is_read(assets: Path, tmp_path: Path) -> None:
    whole = draw_video(tmp_path / "whole.mkv", 20).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    frames, reader = read_all(tmp_path / "cut.mkv")
    assert 5 < len(frames) < 20
    assert reader.num_frames == len(frames)


def test_a_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuv420p"
        container.start_encoding()
    with pytest.raises(ConfigError, match="source: must hold a frame, got a video without any"):
        read_all(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("no.mp4", None, "nothing"),
        ("text.mp4", b"no video at all", "must be a video file, a camera or a stream that can be read, got"),
        ("empty.mp4", b"", "must be a video file"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_all(tmp_path / name)


@pytest.mark.assets
def test_sound_alone_is_no_video(assets: Path, tmp_path: Path) -> None:
    with av.open(str(assets / "video" / "realshort.mp4")) as source, av.open(str(tmp_path / "a.m4a"), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(ConfigError, match=r"must hold a video, got .* without one"):
        read_all(tmp_path / "a.m4a")


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.avi", "out: must end in .mp4, .m4v, .mov, .mkv, got"), ("a", "out: must end in")],
)
def test_files_that_hold_no_h264_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        VideoWriter(tmp_path / name, image_hw=(24, 32), time_base=Fraction(1, 25), rate=Fraction(25))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="out: must be a file that can be written"):
        VideoWriter(tmp_path / "file" / "a.mp4", image_hw=(24, 32), time_base=Fraction(1, 25), rate=Fraction(25))


def test_sound_that_mp4_does_not_take_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "pcm.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono", format="s16")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with av.open(str(tmp_path / "pcm.mkv")) as container:
        with pytest.raises(ConfigError, match=r"must end in \.mkv to keep sound in pcm_s16le as it is.*--no-audio"):
            write_video.check_output(tmp_path / "a.mp4", audio=list(container.streams.audio))
        write_video.check_output(tmp_path / "a.mkv", audio=list(container.streams.audio))


def test_a_build_without_the_encoder_says_what_to_do() -> None:
    class OtherBuild:
        codecs_available = frozenset({"mpeg4"})

    with pytest.raises(ConfigError, match=r"out: needs the encoder libx264, which this build of PyAV lacks; install"):
        write_video.check_encoder(OtherBuild)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(None, list(range(10))), (10, list(range(10))), (5, [0, 2, 4, 6, 8]), (3, [0, 4, 7]), (0.5, [0])],
)
def test_sampling_takes_the_first_frame_of_each_step(rate: float | None, expected: list[int]) -> None:
    sampler = FrameSampler(rate)
    assert [index for index in range(10) if sampler.wants(index / 10)] == expected


@pytest.mark.parametrize(
    ("source", "expected"), [("rtsp://10.0.0.1/live", True), ("/dev/null", True), ("a.mp4", False), ("s3://b/a", False)]
)
def test_streams_and_devices_are_live(source: str, expected: bool) -> None:
    assert is_live(source) == expected
