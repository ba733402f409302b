"""Streams that end as streams do, from an RTSP server on loopback; and devices that are no cameras."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from inference_core.commands.ordered_worker import OrderedWorker
from inference_core.commands.video_target import FileTarget
from inference_core.errors import ConfigError
from inference_core.video.live_reader import LiveReader
from inference_core.video.open_reader import open_reader
from inference_core.video.read_frames import VideoFrame
from inference_core.video_predictor import AnsweredFrame
from tests.rtsp_camera import FRAMES_PER_S, IMAGE_HW, rtsp_camera
from tests.serve.drawn_videos import encode_video, frame_pixels, sounding_stream
from tests.tcp_stream import tcp_stream

NUM_FRAMES = 30


def read_stream(url: str, *, timeout_s: float = 5.0, retry_s: float = 0.0) -> tuple[list[VideoFrame], LiveReader]:
    with ExitStack() as stack:
        reader = open_reader(url, stack, timeout_s=timeout_s, retry_s=retry_s)
        assert isinstance(reader, LiveReader)
        return list(reader.read()), reader


def test_a_stream_that_breaks_off_is_kept_up_to_there_and_says_so() -> None:
    with rtsp_camera("break", num_frames=NUM_FRAMES) as camera:
        frames, reader = read_stream(camera.url)
    assert [frame.frame_index for frame in frames] == list(range(NUM_FRAMES))
    expected = [index / FRAMES_PER_S for index in range(NUM_FRAMES)]
    assert [frame.time_s for frame in frames] == pytest.approx(expected)  # from 0, whatever the camera's clock says
    for frame in frames:
        assert frame.pixels.shape == (*IMAGE_HW, 3)
        drawn = frame_pixels(frame.frame_index, image_hw=IMAGE_HW)
        assert np.abs(frame.pixels.astype(int) - drawn).mean() < 25  # H.264 keeps little of noise, but the colour
    assert (reader.broken, reader.num_breaks) == ("the source ended it", 0)


def test_a_stream_that_stalls_has_broken_off() -> None:
    with rtsp_camera("stall", num_frames=NUM_FRAMES) as camera:
        frames, reader = read_stream(camera.url, timeout_s=1.0)
    assert len(frames) == NUM_FRAMES
    assert reader.broken == "nothing came in time"


def test_a_stream_is_opened_again_and_its_time_goes_on() -> None:
    with rtsp_camera("break", "break", num_frames=NUM_FRAMES) as camera:
        frames, reader = read_stream(camera.url, retry_s=1.0)
    assert [frame.frame_index for frame in frames] == list(range(2 * NUM_FRAMES))
    times_s = [frame.time_s for frame in frames]
    assert times_s == sorted(set(times_s))
    second = np.array(times_s[NUM_FRAMES:])
    np.testing.assert_allclose(second - second[0], np.arange(NUM_FRAMES) / FRAMES_PER_S, atol=1e-3)
    assert reader.num_breaks == 1
    assert reader.broken == "the source ended it"


def test_a_stream_that_is_not_there_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConfigError, match=r"source: must be a video file, a camera or a stream .* Connection refused"):
        read_stream(f"rtsp://user:secret@127.0.0.1:{port}/live")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("/dev/video77", "must be a camera of this machine, got /dev/video77, which is not there; plug it in"),
        ("/dev/null", "must be a video file, a camera or a stream that can be read, got /dev/null .*ioctl"),
    ],
)
def test_a_device_that_is_no_camera_is_refused(device: str, message: str) -> None:
    assert not Path("/dev/video77").exists()
    with ExitStack() as stack, pytest.raises(ConfigError, match=message):
        open_reader(device, stack)


def wait_for(gate: threading.Event) -> Callable[[], None]:
    def wait() -> None:
        assert gate.wait(timeout=60)

    return wait


def test_all_that_a_stream_sent_is_written_though_it_breaks_off_before(tmp_path: Path) -> None:
    data, out = sounding_stream(tmp_path / "a.ts", num_frames=10, num_sounds=50), tmp_path / "out.mkv"
    gate = threading.Event()
    with tcp_stream(data, data) as url, ExitStack() as stack:
        reader = open_reader(url, stack, retry_s=0.7)
        with OrderedWorker(max_waiting=1000) as worker:
            target = FileTarget(reader, out, stack, worker, has_audio=True, alpha=0.5)
            worker.do(wait_for(gate))  # slower than the stream
            threading.Timer(0.4, gate.set).start()
            for frame in reader.read():
                target.write(AnsweredFrame(frame=frame, prediction=None, evidence=None, shown=None, track_ids=None))
    with av.open(str(out)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    assert kinds.count("video") == 20
    assert kinds.count("audio") > 60


def test_sound_rises_over_breaks_though_it_was_ahead_of_the_frames(tmp_path: Path) -> None:
    data = sounding_stream(tmp_path / "a.ts", num_frames=10, num_sounds=100)
    heard: list[Any] = []
    with tcp_stream(data, data) as url, ExitStack() as stack:
        reader = open_reader(url, stack, retry_s=0.7)
        assert isinstance(reader, LiveReader)
        reader.on_audio = lambda packet: heard.append(packet.dts * packet.time_base)
        num_frames = sum(1 for _ in reader.read())
    assert (num_frames, reader.num_breaks) == (20, 1)
    assert len(heard) > 100
    assert heard == sorted(set(heard))


def test_damage_is_told_while_a_stream_goes_on(tmp_path: Path) -> None:
    source = encode_video(tmp_path / "source.mkv", codec="mjpeg", num_frames=12)
    with av.open(str(source)) as container:
        packet = list(container.demux(video=0))[5]
    data = source.read_bytes()
    data = data.replace(bytes(packet), bytes(packet.size))
    with tcp_stream(data) as url, ExitStack() as stack:
        reader = open_reader(url, stack)
        assert isinstance(reader, LiveReader)
        frames = reader.read()
        assert len([next(frames) for _ in range(8)]) == 8
        assert reader.num_damaged == 1
        assert len(list(frames)) == 3
        assert reader.num_damaged == 1


def test_a_stream_that_answers_without_a_frame_is_not_asked_without_pause(tmp_path: Path) -> None:
    data = sounding_stream(tmp_path / "a.ts", num_frames=10, num_sounds=50)
    tables = data[: 3 * 188]  # what streams there are, and nothing of them
    with tcp_stream(data, *[tables] * 200) as url:
        frames, reader = read_stream(url, retry_s=1.3)
    assert len(frames) == 10
    assert 1 <= reader.num_breaks <= 3
