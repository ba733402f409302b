from __future__ import annotations

import io
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.storage import ObjectInfo
from jobs.sources.video_frames import list_frames
from serve.frame_source import read_frames
from tests.serve.drawn_videos import draw_video, encode_video, frame_pixels, sounding_stream
from tests.tcp_stream import tcp_stream


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_video(tmp_path_factory.mktemp("video") / "clip.mkv", 12)


def test_png_frames_are_the_pixels_of_the_video(video: Path) -> None:
    frames = list(read_frames(str(video), encoding="png"))
    assert [frame.frame_index for frame in frames] == list(range(12))
    assert [frame.time_s for frame in frames] == [pytest.approx(index / 10) for index in range(12)]
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(frame.data))), frame_pixels(index))


def test_jpeg_frames_are_jpeg_and_near(video: Path) -> None:
    (first, *_) = read_frames(str(video), encoding="jpeg")
    image = Image.open(io.BytesIO(first.data))
    assert image.format == "JPEG"
    assert np.abs(np.asarray(image).astype(int) - frame_pixels(0)).mean() < 12  # noise is what JPEG is worst at


@pytest.mark.parametrize("rate", [0.5, 1, 3, 4, 7.5, 10, 100])
def test_frames_are_sampled_as_a_job_samples_them(video: Path, rate: float) -> None:
    listed = ObjectInfo(uri=str(video), path="clip.mkv", size_bytes=video.stat().st_size, etag="", mtime_s=0.0)
    wanted = [(ref.frame_index, ref.time_s) for ref in list_frames(listed, prefix="", frames_per_s=rate) if ref]
    assert [(frame.frame_index, frame.time_s) for frame in read_frames(str(video), frames_per_s=rate)] == wanted


def test_a_source_that_is_no_video_says_so_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    for name, message in (
        ("text.mp4", "source: must be a video file, a camera or a stream that can be read, got "),
        ("sound.wav", "source: must hold a video, got "),
        ("none.mp4", "source: nothing is stored at "),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            next(read_frames(str(tmp_path / name)))
        assert "\n" not in str(caught.value)


def test_what_is_lost_of_a_source_is_told(video: Path, tmp_path: Path) -> None:
    told: list[str] = []
    assert len(list(read_frames(str(video), say=told.append))) == 12
    assert told == []
    damaged = encode_video(tmp_path / "damaged.mkv", codec="mjpeg", num_frames=12)
    with av.open(str(damaged)) as container:
        packet = list(container.demux(video=0))[5]
    damaged.write_bytes(damaged.read_bytes().replace(bytes(packet), bytes(packet.size)))
    assert len(list(read_frames(str(damaged), say=told.append))) == 11
    with tcp_stream(sounding_stream(tmp_path / "a.ts", num_frames=10, num_sounds=50)) as url:
        assert len(list(read_frames(url, say=told.append))) == 10
    assert told == [
        "1 packets of the source are damaged and were left out",
        "the source broke off and was read up to there: the source ended it",
    ]
