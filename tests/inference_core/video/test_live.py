"""Streams that end as streams do, from an RTSP server on loopback; and devices that are no cameras."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from inference_core.errors import ConfigError
from inference_core.video.live_reader import LiveReader
from inference_core.video.open_reader import open_reader
from inference_core.video.read_frames import VideoFrame
from tests.rtsp_camera import FRAMES_PER_S, IMAGE_HW, rtsp_camera
from tests.serve.drawn_videos import frame_pixels

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
