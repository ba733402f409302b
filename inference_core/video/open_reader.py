"""What reads a source: files as they are, cameras and streams in their own time."""

from __future__ import annotations

from contextlib import ExitStack

from inference_core.video.live_reader import LiveReader
from inference_core.video.open_video import TIMEOUT_S, is_live, open_video
from inference_core.video.read_frames import FrameReader


def open_reader(
    source: str, stack: ExitStack, *, timeout_s: float = TIMEOUT_S, retry_s: float = 0.0
) -> FrameReader | LiveReader:
    """A reader of the frames of a source.

    Args:
        source: see ``open_video``.
        stack: closes it.
        timeout_s: of a stream, see ``open_video``.
        retry_s: of a live source, see ``LiveReader``.

    Raises:
        ConfigError: it is not there.
    """
    if is_live(source):
        return LiveReader(source, stack, retry_s=retry_s, timeout_s=timeout_s)
    return FrameReader(stack.enter_context(open_video(source)))


def lost_lines(*, broken: str, num_damaged: int) -> list[str]:
    """What is told of a source that was not whole; nothing of another one.

    Args:
        broken: why it ended before its end, "" where it did not.
        num_damaged: packets that could not be decoded.
    """
    return [
        *([f"the source broke off and was read up to there: {broken}"] if broken else []),
        *([f"{num_damaged} packets of the source are damaged and were left out"] if num_damaged else []),
    ]
