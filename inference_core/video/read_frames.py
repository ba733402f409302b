"""The frames of a video in the order in which they are shown, upright, with their own times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from inference_core.errors import ConfigError
from inference_core.records import Uint8Array
from inference_core.video.open_video import import_av, reason_of

FALLBACK_RATE = Fraction(25)
"""Frames for each second of a source that tells neither times nor a rate."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VideoFrame:
    """One frame."""

    frame_index: int
    """Place in the source, from 0."""
    pts: int
    """Time in units of the source's time base, rising from frame to frame."""
    duration_pts: int
    """How long it is shown, 0 where the source does not tell."""
    time_s: float
    """Since the first frame."""
    pixels: Uint8Array
    """(H, W, 3) uint8 RGB, upright."""


@dataclass(slots=True)
class FrameReader:
    """Decodes the first video of a container.

    Args:
        container: of ``open_video``.
        on_audio: called with each packet of sound as it comes, of the streams in ``audio``.
    """

    container: Any
    on_audio: Callable[[Any], None] | None = None
    broken: str = field(default="", init=False)
    """Why reading ended before the end of the source, "" where it did not."""
    num_frames: int = field(default=0, init=False)
    """Frames that were read."""

    @property
    def stream(self) -> Any:
        """The video's stream."""
        return self.container.streams.video[0]

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of ``pts``."""
        return Fraction(self.stream.time_base or 1 / FALLBACK_RATE)

    @property
    def rate(self) -> Fraction:
        """Frames for each second, on average."""
        return Fraction(self.stream.average_rate or self.stream.guessed_rate or FALLBACK_RATE)

    @property
    def audio(self) -> list[Any]:
        """Streams of sound."""
        return list(self.container.streams.audio)

    def read(self) -> Iterator[VideoFrame]:
        """Every frame. Where the file is damaged, reading ends and ``broken`` says why.

        Raises:
            ConfigError: there is no frame at all.
        """
        av = import_av(key="source")
        start: int | None = None
        last: int | None = None
        try:
            for frame in self._decoded():
                pts = self._pts_of(frame, last=last)
                start = pts if start is None else start
                yield VideoFrame(
                    frame_index=self.num_frames,
                    pts=pts,
                    duration_pts=int(frame.duration or 0),
                    time_s=round(float((pts - start) * self.time_base), 6),
                    pixels=upright_pixels(frame),
                )
                last = pts
                self.num_frames += 1
        except (av.FFmpegError, EOFError, OSError) as exc:
            self.broken = reason_of(exc)
        if not self.num_frames:
            why = f" ({self.broken})" if self.broken else ""
            raise ConfigError(f"must hold a frame, got a video without any{why}; give another file", key="source")

    def _decoded(self) -> Iterator[Any]:
        """Frames as FFmpeg gives them; sound goes its own way."""
        wanted = [self.stream, *(self.audio if self.on_audio else [])]
        for packet in self.container.demux(wanted):
            if packet.stream.type == "audio":
                if self.on_audio is not None and packet.dts is not None:
                    self.on_audio(packet)
                continue
            yield from packet.decode()

    def _pts_of(self, frame: Any, *, last: int | None) -> int:
        """The time of a frame, made to rise where the source's does not."""
        step = max(1, round(1 / self.rate / self.time_base))
        expected = 0 if last is None else last + step
        if frame.pts is None:
            return expected
        return frame.pts if last is None or frame.pts > last else last + 1


def upright_pixels(frame: Any) -> Uint8Array:
    """(H, W, 3) uint8 RGB of a frame, turned as its file says: phones film on their side."""
    pixels: Uint8Array = frame.to_ndarray(format="rgb24")
    quarter_turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


class FrameSampler:
    """Which frames are wanted: each that is the first at or behind a multiple of ``1 / frames_per_s``.

    Args:
        frames_per_s: at most so many for each second; None for all.
    """

    SLACK_S = 5e-4
    """Less than any frame lasts, and more than times are rounded by."""

    def __init__(self, frames_per_s: float | None) -> None:
        self._frames_per_s = frames_per_s
        self._next_s = 0.0

    def wants(self, time_s: float) -> bool:
        """Whether a frame is wanted; ask for each, in order."""
        if self._frames_per_s is None:
            return True
        if time_s < self._next_s - self.SLACK_S:
            return False
        self._next_s = (int((time_s + self.SLACK_S) * self._frames_per_s) + 1) / self._frames_per_s
        return True
