"""Frames of a video file or a camera, encoded as images that a service reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from inference_core import storage
from inference_core.errors import ConfigError, StorageError

Encoding = Literal["jpeg", "png"]
JPEG_QUALITY = 95
FAST_COMPRESSION = 1
"""zlib level of PNG."""
SLACK_S = 5e-4
"""Less than any frame lasts, and more than times are rounded by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFrame:
    """One frame as it is sent."""

    frame_index: int
    """Place in the source, from 0; frames that are left out count, too."""
    time_s: float
    """Since the start of the source."""
    data: bytes
    """An encoded image."""


def is_camera(source: str) -> bool:
    """Whether a source is a device of this machine."""
    return Path(source).is_char_device()


def read_frames(
    source: str, *, frames_per_s: float | None = None, encoding: Encoding = "jpeg"
) -> Iterator[SourceFrame]:
    """Frames in the order in which they are shown.

    Args:
        source: path or URI of a video, or a camera's device.
        frames_per_s: at most so many for each second; None for all.
        encoding: jpeg is small and fast, png gives the model exactly the pixels of the video, as a job reads them.

    Raises:
        ConfigError: there is no such video, it holds none, or PyAV is not installed.
    """
    av = import_av()
    try:
        with ExitStack() as stack:
            container = stack.enter_context(open_container(av, source, stack))
            if not container.streams.video:
                raise ConfigError(f"must be a video, got {source} without one; give another file", key="source")
            yield from sample(container, frames_per_s=frames_per_s, encoding=encoding)
    except StorageError as exc:
        raise ConfigError(str(exc), key="source") from exc
    except (av.FFmpegError, OSError) as exc:
        raise ConfigError(
            f"must be a video file or a camera that can be read, got {source} ({exc}); check the path", key="source"
        ) from exc


def open_container(av: Any, source: str, stack: ExitStack) -> Any:
    """The source, opened by FFmpeg."""
    if is_camera(source):
        return av.open(source, format="v4l2")
    return av.open(stack.enter_context(storage.open_for_read(source)))


def sample(container: Any, *, frames_per_s: float | None, encoding: Encoding) -> Iterator[SourceFrame]:
    """Each frame that is the first at or behind a multiple of ``1 / frames_per_s``."""
    start_s: float | None = None
    next_s = 0.0
    for index, frame in enumerate(container.decode(video=0)):
        start_s = frame.time if start_s is None else start_s
        time_s = round(float((frame.time or 0.0) - (start_s or 0.0)), 6)
        if frames_per_s is not None:
            if time_s < next_s - SLACK_S:
                continue
            next_s = (int((time_s + SLACK_S) * frames_per_s) + 1) / frames_per_s
        pixels = frame.to_ndarray(format="bgr24")
        yield SourceFrame(frame_index=index, time_s=time_s, data=encode(pixels, encoding=encoding))


def encode(pixels: NDArray[np.uint8], *, encoding: Encoding) -> bytes:
    """An image file.

    Args:
        pixels: (H, W, 3) uint8, blue first.
        encoding: jpeg or png.
    """
    settings = {
        "jpeg": [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY],
        "png": [cv2.IMWRITE_PNG_COMPRESSION, FAST_COMPRESSION],
    }
    _, data = cv2.imencode(f".{encoding}", pixels, settings[encoding])
    return bytes(data)


def import_av() -> Any:
    """PyAV.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError as exc:
        raise ConfigError("videos need PyAV; pip install 'millrace[video]'", key="source") from exc
    return av
