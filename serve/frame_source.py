"""Frames of a video file, a camera or a stream, encoded as images that a service reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core.storage import mask_secrets
from inference_core.video.open_reader import lost_lines, open_reader
from inference_core.video.sample_frames import FrameSampler

Encoding = Literal["jpeg", "png"]
JPEG_QUALITY = 95
FAST_COMPRESSION = 1
"""zlib level of PNG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFrame:
    """One frame as it is sent."""

    frame_index: int
    """Place in the source, from 0; frames that are left out count, too."""
    time_s: float
    """Since the start of the source."""
    data: bytes
    """An encoded image."""


def drop_line(line: str) -> None:
    """Tell nobody."""


def read_frames(
    source: str,
    *,
    frames_per_s: float | None = None,
    encoding: Encoding = "jpeg",
    say: Callable[[str], None] = drop_line,
) -> Iterator[SourceFrame]:
    """Frames in the order in which they are shown, upright.

    Args:
        source: path or URI of a video, a camera's device, or the URL of a stream.
        frames_per_s: at most so many for each second; None for all.
        encoding: jpeg is small and fast, png gives the model exactly the pixels of the video, as a job reads them.
        say: told at the end of what was lost of a source that is damaged or broke off.

    Raises:
        ConfigError: there is no such video, it holds none, or PyAV is not installed.
    """
    sampler = FrameSampler(frames_per_s)
    with ExitStack() as stack:
        reader = open_reader(source, stack)
        for frame in reader.read():
            if sampler.wants(frame.time_s):
                data = encode(frame.pixels, encoding=encoding)
                yield SourceFrame(frame_index=frame.frame_index, time_s=frame.time_s, data=data)
        for line in lost_lines(broken=mask_secrets(reader.broken), num_damaged=reader.num_damaged):
            say(line)


def encode(pixels: NDArray[np.uint8], *, encoding: Encoding) -> bytes:
    """An image file.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        encoding: jpeg or png.
    """
    settings = {
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
        "png": [cv2.IMWRITE_PNG_COMPRESSION, FAST_COMPRESSION],
    }
    _, data = cv2.imencode(f".{encoding}", pixels[..., ::-1], settings[encoding])
    return bytes(data)
