"""Frames of a camera or a stream: from 0 on whatever its clock says, and over breaks where that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from inference_core.errors import ConfigError
from inference_core.video.open_video import TIMEOUT_S, open_video
from inference_core.video.read_frames import FrameReader, VideoFrame

PAUSE_S = 0.5
"""Between attempts to open a stream again."""


@dataclass(slots=True)
class LiveReader:
    """Reads a source that has no end of its own.

    Args:
        source: a camera's device or a stream's URL.
        stack: closes what is open.
        retry_s: for so long it is tried to open a source again that broke off; 0 ends it at once.
        timeout_s: a stream has broken off when nothing came for so long.
        on_audio: called with each packet of sound as it comes, in the time of the frames.
    """

    source: str
    stack: ExitStack
    retry_s: float = 0.0
    timeout_s: float = TIMEOUT_S
    on_audio: Callable[[Any], None] | None = None
    on_close: Callable[[], None] | None = None
    """Called before a connection is closed: its streams, and those of packets of sound, are gone then."""
    broken: str = field(default="", init=False)
    """Why reading ended, "" where whoever reads ended it."""
    num_breaks: int = field(default=0, init=False)
    """How often the source was opened again."""
    _reader: FrameReader = field(init=False)
    _connection: ExitStack = field(init=False)
    _num_frames: int = field(default=0, init=False)
    _num_damaged: int = field(default=0, init=False)
    """Of earlier connections."""
    _heard: dict[int, Fraction] = field(default_factory=dict, init=False)
    """Seconds of the last packet of each stream of sound."""
    _shift: int | None = field(default=None, init=False)
    """What is added to the times of a connection, None until its first frame."""
    _last_pts: int = field(default=-1, init=False)
    _began_s: float = field(default=0.0, init=False)
    """When the first frame came, by the clock of this machine."""
    _give_up_s: float | None = field(default=None, init=False)
    """Until when it is tried to open the source again, None while frames come."""
    _time_base: Fraction = field(init=False)

    def __post_init__(self) -> None:
        self._connection = self.stack.enter_context(ExitStack())
        self._connect()
        self._time_base = self._reader.time_base

    @property
    def time_base(self) -> Fraction:
        """Seconds of one unit of ``pts``."""
        return self._time_base

    @property
    def rate(self) -> Fraction:
        """Frames for each second, on average."""
        return self._reader.rate

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel by its height."""
        return self._reader.pixel_aspect

    @property
    def num_damaged(self) -> int:
        """Packets that could not be decoded until now."""
        return self._num_damaged + self._reader.num_damaged

    @property
    def audio(self) -> list[Any]:
        """Streams of sound, of this connection."""
        return self._reader.audio

    def read(self) -> Iterator[VideoFrame]:
        """Every frame, until the source breaks off for good.

        Raises:
            ConfigError: there is no frame at all.
        """
        while True:
            self._shift = None
            try:
                for frame in self._reader.read():
                    yield self._placed(frame)
            except ConfigError:
                if not self._num_frames:
                    raise
            why = self._reader.broken or ("" if self._reader.has_end else "the source ended it")
            if not why or not self._reopen():
                self.broken = why
                return

    def _placed(self, frame: VideoFrame) -> VideoFrame:
        """A frame with its number and time since the first one, however often the source broke off in between."""
        if self._shift is None:
            self._began_s = self._began_s or time.monotonic()
            elapsed = round((time.monotonic() - self._began_s) / self._time_base) if self._num_frames else 0
            self._shift = max(elapsed, self._last_pts + 1) - self._in_time_base(frame.pts)
        pts = max(self._in_time_base(frame.pts) + self._shift, self._last_pts + 1)
        self._last_pts, self._give_up_s = pts, None
        self._num_frames += 1
        return replace(
            frame,
            frame_index=self._num_frames - 1,
            pts=pts,
            duration_pts=self._in_time_base(frame.duration_pts),
            time_s=round(float(pts * self._time_base), 6),
        )

    def _in_time_base(self, units: int) -> int:
        """A time of this connection in the units of the first one."""
        return round(units * self._reader.time_base / self._time_base)

    def _take_audio(self, packet: Any) -> None:
        """Sound in the time of the frames; what comes before the first one of a connection is left out, and what the
        connection before was ahead by.
        """
        if self.on_audio is None or self._shift is None:
            return
        shift = round(self._shift * self._time_base / packet.time_base)
        packet.dts += shift
        packet.pts = packet.dts if packet.pts is None else packet.pts + shift
        time_s = packet.dts * packet.time_base
        if packet.pts >= 0 and time_s > self._heard.get(packet.stream.index, -1):
            self._heard[packet.stream.index] = time_s
            self.on_audio(packet)

    def _connect(self) -> None:
        """Open the source.

        Raises:
            ConfigError: it is not there.
        """
        container = self._connection.enter_context(open_video(self.source, timeout_s=self.timeout_s))
        self._reader = FrameReader(container, on_audio=self._take_audio)

    def _reopen(self) -> bool:
        """Open the source again; whether it was there in time."""
        if self.on_close is not None:
            self.on_close()
        self._connection.close()
        before = self._reader
        if self._give_up_s is not None:  # it answers without a frame
            time.sleep(PAUSE_S)
        self._give_up_s = self._give_up_s or time.monotonic() + self.retry_s
        while time.monotonic() < self._give_up_s:
            try:
                self._connect()
            except ConfigError:
                time.sleep(PAUSE_S)
            else:
                self._num_damaged += before.num_damaged
                self.num_breaks += 1
                return True
        return False
