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
from inference_core.video.rising_times import RisingTimes

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
    num_damaged: int = field(default=0, init=False)
    """Packets that could not be decoded."""
    damage: str = field(default="", init=False)
    """What was wrong with the last one."""
    _is_sideways: bool = field(default=False, init=False)
    _audio_times: dict[int, RisingTimes] = field(default_factory=dict, init=False)

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
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel by its height, once the picture is upright."""
        aspect = Fraction(self.stream.sample_aspect_ratio or 1)
        return 1 / aspect if self._is_sideways else aspect

    @property
    def has_end(self) -> bool:
        """Whether the source tells how long it is, as files do."""
        return self.container.duration is not None

    @property
    def audio(self) -> list[Any]:
        """Streams of sound."""
        return list(self.container.streams.audio)

    def read(self) -> Iterator[VideoFrame]:
        """Every frame. Damaged packets are left out; where the file cannot be read on, reading ends and ``broken`` says
        why.

        Raises:
            ConfigError: there is no frame at all.
        """
        for frame, pts, time_s in self._timed():
            yield VideoFrame(
                frame_index=self.num_frames - 1,
                pts=pts,
                duration_pts=int(frame.duration or 0),
                time_s=time_s,
                pixels=upright_pixels(frame),
            )

    def read_times(self) -> Iterator[float]:
        """Seconds of every frame since the first one, without its pixels.

        Raises:
            ConfigError: there is no frame at all.
        """
        for _, _, time_s in self._timed():
            yield time_s

    def _timed(self) -> Iterator[tuple[Any, int, float]]:
        """FFmpeg's frames with their times: rising units, and seconds since the first one."""
        start: int | None = None
        step = round(1 / self.rate / self.time_base)
        times = RisingTimes(self.time_base)
        for frame in self.decode():
            pts = times.place(frame.pts, step=step)
            start = pts if start is None else start
            self._is_sideways = quarter_turns_of(frame) % 2 == 1
            yield frame, pts, round(float((pts - start) * self.time_base), 6)

    def decode(self) -> Iterator[Any]:
        """Frames as FFmpeg gives them, of what is whole; sound goes its own way.

        Raises:
            ConfigError: there is no frame at all.
        """
        for packet in self._packets():
            if packet.stream.type == "audio":
                self._give_audio(packet)
                continue
            for frame in self._decode(packet):
                self.num_frames += 1
                yield frame
        if not self.num_frames:
            why = f" ({self.broken or self.damage})" if self.broken or self.damage else ""
            raise ConfigError(f"must hold a frame, got a video without any{why}; give another file", key="source")

    def _give_audio(self, packet: Any) -> None:
        """Sound, in times that rise."""
        if self.on_audio is None or packet.dts is None:
            return
        times = self._audio_times.setdefault(packet.stream.index, RisingTimes(packet.time_base))
        dts = times.place(packet.dts, step=int(packet.duration or 0))
        packet.pts = dts if packet.pts is None else packet.pts + dts - packet.dts
        packet.dts = dts
        self.on_audio(packet)

    def _packets(self) -> Iterator[Any]:
        """What the file is made of, up to where it can be read."""
        packets = self.container.demux([self.stream, *(self.audio if self.on_audio else [])])
        while True:
            try:
                packet = next(packets, None)
            except self._errors as exc:
                self.broken = reason_of(exc)
                yield from self._delayed()
                return
            if packet is None:
                return
            yield packet

    def _delayed(self) -> Iterator[Any]:
        """What lets a decoder give the frames that it holds back."""
        packet = import_av(key="source").Packet()
        packet.stream = self.stream
        yield packet

    def _decode(self, packet: Any) -> list[Any]:
        """The frames that a packet completes; none where it is damaged, and the next ones may be whole."""
        try:
            return list(packet.decode())
        except self._errors as exc:
            self.num_damaged += 1
            self.damage = reason_of(exc)
            return []

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        """What FFmpeg raises of a source that is not whole."""
        return import_av(key="source").FFmpegError, EOFError, OSError


def upright_pixels(frame: Any) -> Uint8Array:
    """(H, W, 3) uint8 RGB of a frame, turned as its file says: phones film on their side."""
    pixels: Uint8Array = frame.to_ndarray(format="rgb24")
    quarter_turns = quarter_turns_of(frame)
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def quarter_turns_of(frame: Any) -> int:
    """How often a frame is turned against the clock to be upright."""
    return round((getattr(frame, "rotation", 0) or 0) / 90) % 4
