"""Frames of videos, sampled by rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inference_core import storage
from inference_core.errors import ConfigError, DecodeError, StorageError
from inference_core.records import Uint8Array
from inference_core.video.open_video import import_av, open_video
from inference_core.video.sample_frames import FrameSampler
from inference_core.video.seek_frames import frame_times, frames_at
from jobs.sources.image_ref import ImageRef

VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts")


def list_frames(found: storage.ObjectInfo, *, prefix: str, frames_per_s: float | None) -> Iterator[ImageRef | None]:
    """The frames of a video that are wanted, in the order in which they are shown.

    Args:
        found: the file.
        prefix: what ids begin with.
        frames_per_s: at most so many for each second of the video; None for all.

    Yields:
        Each frame that is the first at or behind a multiple of ``1 / frames_per_s``; None for each other one. Of a file
        without a frame that can be found, the first one: reading it tells what is wrong, in a row.

    Raises:
        ConfigError: PyAV is not installed.

    Cost: reads the whole file once; see ``frame_times``.
    """
    sampler = FrameSampler(frames_per_s)
    for index, time_s in enumerate(times_of(found.uri) or [0.0]):
        yield (
            ImageRef(
                image_id=f"{prefix}{found.path}/{index:06d}",
                uri=found.uri,
                size_bytes=found.size_bytes,
                etag=found.etag,
                frame_index=index,
                time_s=time_s,
            )
            if sampler.wants(time_s)
            else None
        )


def times_of(uri: str) -> list[float]:
    """Times of a video's frames in seconds; none of what is no video.

    Raises:
        ConfigError: PyAV is not installed.
        StorageError: the file cannot be read at all.
    """
    import_av(key="input")
    try:
        with open_video(uri, key="input") as container:
            return frame_times(container)
    except ConfigError as exc:
        raise_storage_error(exc)
        return []


def read_frames(uri: str, refs: Sequence[ImageRef]) -> Iterator[Uint8Array | DecodeError]:
    """Frames of a video, or why there is none. The video may end before the last one.

    Args:
        uri: of the file.
        refs: of the frames, by their times.

    Raises:
        StorageError: the file cannot be read at all.
    """
    wanted = [(ref.frame_index or 0, ref.time_s or 0.0) for ref in refs]
    num_found = 0
    try:
        with open_video(uri, key="input") as container:
            for (_, time_s), frame in zip(wanted, frames_at(container, wanted), strict=False):
                num_found += 1
                yield (
                    frame
                    if frame is not None
                    else DecodeError(f"the video must be whole at {time_s} s, got damaged data", uri=uri)
                )
    except ConfigError as exc:
        raise_storage_error(exc)
        for _ in refs[num_found:]:
            yield DecodeError(str(exc).removeprefix("input: ").removeprefix("source: "), uri=uri)


def raise_storage_error(error: ConfigError) -> None:
    """Raise what is behind an error where that is of the store: it says nothing of the video."""
    if isinstance(error.__cause__, StorageError):
        raise error.__cause__
