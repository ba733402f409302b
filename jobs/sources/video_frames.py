"""Frames of videos, sampled by rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.video import open_video
from inference_core.video.read_frames import FrameSampler
from jobs.sources.image_ref import ImageRef

VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts")


def list_frames(found: storage.ObjectInfo, *, prefix: str, frames_per_s: float | None) -> Iterator[ImageRef | None]:
    """The frames of a video that are wanted, in the order in which they are shown.

    Args:
        found: the file.
        prefix: what ids begin with.
        frames_per_s: at most so many for each second of the video; None for all.

    Yields:
        Each frame that is the first at or behind a multiple of ``1 / frames_per_s``; None for each other one.

    Raises:
        ConfigError: the file holds no video, or PyAV is not installed.

    Cost: reads the whole file once without decoding a frame.
    """
    sampler = FrameSampler(frames_per_s)
    for index, time_s in enumerate(frame_times(found.uri)):
        yield (
            ImageRef(
                image_id=f"{prefix}{found.path}/{index:06d}",
                uri=found.uri,
                size_bytes=found.size_bytes,
                etag=found.etag,
                frame_index=index,
                time_s=round(time_s, 6),
            )
            if sampler.wants(time_s)
            else None
        )


def frame_times(uri: str) -> list[float]:
    """Times of a video's frames since its start, in seconds, in the order in which they are shown.

    Raises:
        ConfigError: the file holds no video, or PyAV is not installed.
    """
    av = import_av()
    try:
        with storage.open_for_read(uri) as file, av.open(file) as container:
            if not container.streams.video:
                raise ConfigError(f"must hold a video, got {uri} without one; leave it out with exclude", key="input")
            stream = container.streams.video[0]
            times = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
            start = stream.start_time if stream.start_time is not None else (times[0] if times else 0)
            return [float((pts - start) * stream.time_base) for pts in times]
    except av.FFmpegError as exc:
        raise ConfigError(
            f"must be a video that FFmpeg reads, got {uri} ({exc}); leave it out with exclude", key="input"
        ) from exc


def import_av() -> Any:
    """PyAV.

    Raises:
        ConfigError: it is not installed.
    """
    return open_video.import_av(key="input")
