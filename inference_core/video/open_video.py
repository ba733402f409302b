"""Open a video: a file of any store, a camera of this machine, or a stream from the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from inference_core import storage
from inference_core.errors import ConfigError, StorageError

STREAM_SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "tcp", "srt")
TIMEOUT_S = 10.0
"""Of streams; a camera that is gone must not hang the command."""


def import_av(*, key: str) -> Any:
    """PyAV.

    Args:
        key: the setting that needs it.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import av
    except ImportError as exc:
        raise ConfigError("videos need PyAV; pip install 'millrace[video]'", key=key) from exc
    return av


def is_live(source: str) -> bool:
    """Whether frames come in their own time: of a camera's device or a stream."""
    return is_stream(source) or is_camera(source)


def is_stream(source: str) -> bool:
    """Whether a source is read from the network by FFmpeg."""
    return storage.scheme_of(source) in STREAM_SCHEMES


def is_camera(source: str) -> bool:
    """Whether a source is a device of this machine."""
    return Path(source).is_char_device()


@contextmanager
def open_video(source: str, *, timeout_s: float = TIMEOUT_S, key: str = "source") -> Iterator[Any]:
    """PyAV's container of a source that has a video.

    Args:
        source: path or URI of a file, a camera's device (/dev/video0), or the URL of a stream (rtsp://...).
        timeout_s: of a stream: for so long it is waited for an answer, or for what comes next.
        key: the setting that names it.

    Raises:
        ConfigError: there is no such video, it cannot be read, or PyAV is not installed.
    """
    av = import_av(key=key)
    shown = storage.mask_secrets(source)
    if source.startswith("/dev/") and not Path(source).exists():
        raise ConfigError(f"must be a camera of this machine, got {source}, which is not there; plug it in", key=key)
    with ExitStack() as stack:
        try:
            container = stack.enter_context(open_container(av, source, stack, timeout_s=timeout_s))
        except StorageError as exc:
            raise ConfigError(str(exc), key=key) from exc
        except (av.FFmpegError, OSError) as exc:
            raise ConfigError(
                f"must be a video file, a camera or a stream that can be read, got {shown} ({reason_of(exc)}); check "
                "the path",
                key=key,
            ) from exc
        if not container.streams.video:
            raise ConfigError(f"must hold a video, got {shown} without one; give another file", key=key)
        yield container


def open_container(av: Any, source: str, stack: ExitStack, *, timeout_s: float) -> Any:
    """The source, opened by FFmpeg."""
    if is_stream(source):
        options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}
        return av.open(source, options=options, timeout=(timeout_s, timeout_s))
    if is_camera(source):
        return av.open(source, format="v4l2")
    return av.open(stack.enter_context(storage.open_for_read(source)))


def reason_of(error: Exception) -> str:
    """An error of FFmpeg's on one line."""
    if type(error).__name__ in ("ExitError", "TimeoutError"):  # what a time limit raises
        return "nothing came in time"
    return " ".join(str(error).split()) or type(error).__name__
