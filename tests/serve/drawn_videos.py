"""Small videos: without loss, so that each pixel comes back as it was drawn, or as people have them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FRAMES_PER_S = 10


def frame_pixels(index: int, *, image_hw: tuple[int, int] = (24, 32)) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of one frame: noise of its own with a colour on top."""
    random = np.random.default_rng(index)
    pixels = random.integers(0, 60, (*image_hw, 3), dtype=np.uint8)
    pixels[..., index % 3] += np.uint8(120 + index)
    return pixels


def draw_video(path: Path, count: int) -> Path:
    """Write ``count`` frames, FRAMES_PER_S for each second."""
    with av.open(path, "w") as container:
        stream = container.add_stream("ffv1", rate=FRAMES_PER_S)
        stream.height, stream.width = frame_pixels(0).shape[:2]
        stream.pix_fmt = "bgr0"
        for index in range(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_pixels(index), format="rgb24")))
        container.mux(stream.encode())
    return path


def encode_video(
    path: Path,
    *,
    codec: str,
    num_frames: int,
    image_hw: tuple[int, int] = (48, 64),
    pixel_format: str = "",
    **options: str,
) -> Path:
    """Write frames, 25 for each second, in some codec; ``options`` are FFmpeg's of the encoder."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = image_hw
        stream.pix_fmt = pixel_format or {"mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        for index in range(num_frames):
            pixels = frame_pixels(index % 100, image_hw=image_hw)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def sounding_stream(path: Path, *, num_frames: int, num_sounds: int, image_hw: tuple[int, int] = (48, 64)) -> bytes:
    """MPEG-TS of frames, 10 for each second, and of packets of sound, 50 for each second."""
    with av.open(path, "w") as container:
        pictures, sounds = container.add_stream("mpeg2video", rate=10), container.add_stream("mp2", rate=48_000)
        pictures.height, pictures.width = image_hw
        pictures.pix_fmt = "yuv420p"
        for index in range(num_sounds):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 960), np.int16), format="s16", layout="stereo")
            samples.sample_rate, samples.pts = 48_000, index * 960
            container.mux(sounds.encode(samples))
            if index % 5 == 0 and index // 5 < num_frames:
                drawn = av.VideoFrame.from_ndarray(frame_pixels(index // 5, image_hw=image_hw), format="rgb24")
                container.mux(pictures.encode(drawn))
        container.mux(pictures.encode())
        container.mux(sounds.encode())
    return path.read_bytes()
