"""Write an H.264 file whose frames have the times that they are given, with the sound of another file."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from inference_core.errors import ConfigError
from inference_core.records import Uint8Array
from inference_core.video.open_video import import_av, reason_of

ENCODER = "libx264"
CRF = "18"
"""Quality of x264: lower is better, and 18 is hardly told from the source."""
SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")
ANY_AUDIO = (".mkv", ".mov")
"""Files that take sound of nearly any kind as it is."""
MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "vorbis"})


class VideoWriter:
    """Writes frames and sound. Use it as a context, which ends the file.

    Args:
        path: ends in one of SUFFIXES.
        image_hw: of the frames; an odd side is made even by repeating the last pixels, as H.264 asks.
        time_base: seconds of one unit of ``pts``.
        rate: frames for each second, on average: a hint for the encoder.
        audio: streams of an open container whose packets will be given to ``write_audio``.

    Raises:
        ConfigError: the name, the sound or the encoder does not do.
    """

    def __init__(
        self,
        path: Path,
        *,
        image_hw: tuple[int, int],
        time_base: Fraction,
        rate: Fraction,
        audio: Sequence[Any] = (),
    ) -> None:
        check_output(path, audio=audio)
        self._av = import_av(key="out")
        check_encoder(self._av)
        self._image_hw = image_hw
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._container = self._av.open(str(path), "w")
        except (self._av.FFmpegError, OSError) as exc:
            raise ConfigError(f"must be a file that can be written, got {path} ({reason_of(exc)})", key="out") from exc
        self._video = self._container.add_stream(ENCODER, rate=rate, options={"crf": CRF, "preset": "veryfast"})
        self._video.height, self._video.width = even(image_hw[0]), even(image_hw[1])
        self._video.pix_fmt = "yuv420p"
        self._video.time_base = self._video.codec_context.time_base = time_base
        self._time_base = time_base
        self._audio = {stream.index: self._container.add_stream_from_template(stream) for stream in audio}

    def write(self, pixels: Uint8Array, *, pts: int, duration_pts: int = 0) -> None:
        """Append a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB of the size that was named, not modified.
            pts: its time, above that of the frame before.
            duration_pts: how long it is shown; 0 until the next.
        """
        assert pixels.shape[:2] == self._image_hw, "all frames have the size of the first"
        frame = self._av.VideoFrame.from_ndarray(padded(pixels), format="rgb24")
        frame.pts, frame.time_base = pts, self._time_base
        if duration_pts:
            frame.duration = duration_pts
        self._container.mux(self._video.encode(frame))

    def write_audio(self, packet: Any) -> None:
        """Append a packet of sound as it is."""
        stream = self._audio.get(packet.stream.index)
        if stream is not None:
            packet.stream = stream
            self._container.mux(packet)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self._container.mux(self._video.encode(None))
        self._container.close()


def check_output(path: Path, *, audio: Sequence[Any] = ()) -> None:
    """Raise ConfigError where a file of such a name cannot hold H.264 and the sound."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"must end in {', '.join(SUFFIXES)}, got {path}; name another file", key="out")
    names = {stream.codec_context.name for stream in audio}
    strange = sorted(name for name in names if name not in MP4_AUDIO)
    if strange and path.suffix.lower() not in ANY_AUDIO:
        raise ConfigError(
            f"must end in .mkv to keep sound in {', '.join(strange)} as it is, got {path}; name an .mkv file, or leave "
            "the sound out with --no-audio",
            key="out",
        )


def check_encoder(av: Any) -> None:
    """Raise ConfigError where this PyAV cannot encode H.264."""
    if ENCODER not in av.codecs_available:
        raise ConfigError(
            f"needs the encoder {ENCODER}, which this build of PyAV lacks; install PyAV's own wheel "
            "(pip install --force-reinstall av), or an FFmpeg with x264 to build against",
            key="out",
        )


def even(side_px: int) -> int:
    """A side as H.264 takes it."""
    return side_px + side_px % 2


def padded(pixels: Uint8Array) -> Uint8Array:
    """A frame with even sides: the last row and column are repeated where one is missing."""
    height, width = pixels.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return np.ascontiguousarray(pixels)
    return np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
