"""Write an H.264 file whose frames have the times that they are given, with the sound of another file."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from inference_core.errors import ConfigError, StorageError
from inference_core.records import Uint8Array
from inference_core.video.fit_frame import even, fit_frame, with_even_sides
from inference_core.video.open_video import import_av, reason_of

ENCODER = "libx264"
CRF = "18"
"""Quality of x264: lower is better, and 18 is hardly told from the source."""
SQUARE = Fraction(1)
FRAME_DURATION = 1 << 8
"""FFmpeg's flag that the encoder takes over how long frames are shown; PyAV has no name for it."""
SD_COLORS, HD_COLORS = ("ITU601", 6), ("ITU709", 1)
"""How colours become YUV, and its number in the file: players take BT.709 for granted in large pictures alone."""
HD_HEIGHT = 720
LIMITED_RANGE = 1
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
        pixel_aspect: width of a pixel by its height.
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
        pixel_aspect: Fraction = SQUARE,
        audio: Sequence[Any] = (),
    ) -> None:
        check_output(path, audio=audio)
        self._av = import_av(key="out")
        check_encoder(self._av)
        self._image_hw = image_hw
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._container = self._av.open(str(path), "w", options=muxer_options(path, time_base))
        except (self._av.FFmpegError, OSError) as exc:
            raise ConfigError(f"must be a file that can be written, got {path} ({reason_of(exc)})", key="out") from exc
        self._video = self._container.add_stream(ENCODER, rate=rate, options={"crf": CRF, "preset": "veryfast"})
        self._video.height, self._video.width = even(image_hw[0]), even(image_hw[1])
        self._video.pix_fmt = "yuv420p"
        self._video.time_base = self._video.codec_context.time_base = time_base
        self._video.codec_context.sample_aspect_ratio = pixel_aspect
        self._video.codec_context.flags |= FRAME_DURATION
        self._colors = HD_COLORS if image_hw[0] >= HD_HEIGHT else SD_COLORS
        self._video.codec_context.colorspace, self._video.codec_context.color_range = self._colors[1], LIMITED_RANGE
        self._path = path
        self._time_base = time_base
        self._audio = {stream.index: self._container.add_stream_from_template(stream) for stream in audio}

    def write(self, pixels: Uint8Array, *, pts: int, duration_pts: int = 0) -> None:
        """Append a frame.

        Args:
            pixels: (H, W, 3) uint8 RGB, not modified; of another size than the video's it is fitted into it.
            pts: its time, above that of the frame before.
            duration_pts: how long it is shown; 0 until the next.
        """
        whole = with_even_sides(fit_frame(pixels, image_hw=self._image_hw))
        frame = self._av.VideoFrame.from_ndarray(whole, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=self._colors[0])
        frame.pts, frame.time_base = pts, self._time_base
        if duration_pts:
            frame.duration = duration_pts
        with self._translated_errors():
            self._container.mux(self._video.encode(frame))

    def write_audio(self, packet: Any) -> None:
        """Append a packet of sound as it is; a damaged one, or one of another kind of sound, is left out."""
        stream = self._audio.get(packet.stream.index)
        if stream is None or codec_of(stream) != codec_of(packet.stream):
            return
        if self._path.suffix.lower() == ".mkv" and packet.pts < 0:
            # There is no time before 0 in such files: FFmpeg would shift all that follows, frames too.
            if packet.pts + (packet.duration or 0) <= 0:
                return
            packet.pts = packet.dts = 0
        packet.stream = stream
        try:
            with self._translated_errors():
                self._container.mux(packet)
        except StorageError as exc:
            if not isinstance(exc.__cause__, self._av.InvalidDataError):
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            stack.callback(self._close)
            if kind is None:
                with self._translated_errors():
                    self._container.mux(self._video.encode(None))

    def _close(self) -> None:
        """End the file, so that what was written so far can be played."""
        with self._translated_errors():
            self._container.close()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """A full disk and the like, named.

        Raises:
            StorageError: the file cannot be written on.
        """
        try:
            yield
        except (self._av.FFmpegError, OSError) as exc:
            advice = "make room" if exc.errno in (errno.ENOSPC, errno.EDQUOT) else "name another file"
            raise StorageError(f"{self._path} must take what is written, got {reason_of(exc)}; {advice}") from exc


def check_output(path: Path, *, audio: Sequence[Any] = ()) -> None:
    """Raise ConfigError where a file of such a name cannot hold H.264 and the sound."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"must end in {', '.join(SUFFIXES)}, got {path}; name another file", key="out")
    names = {codec_of(stream) for stream in audio}
    strange = sorted(name for name in names if name not in MP4_AUDIO)
    if strange and path.suffix.lower() not in ANY_AUDIO:
        raise ConfigError(
            f"must end in .mkv to keep sound in {', '.join(strange)} as it is, got {path}; name an .mkv file, or leave "
            "the sound out with --no-audio",
            key="out",
        )


def muxer_options(path: Path, time_base: Fraction) -> dict[str, str]:
    """What keeps the start of the first frame exact: an .mp4 counts it in thousandths of a second by default."""
    return {} if path.suffix.lower() == ".mkv" else {"movie_timescale": str(time_base.denominator)}


def codec_of(stream: Any) -> str:
    """The name of what sound is coded in, whichever decoder FFmpeg would take for it."""
    return str(stream.codec_context.codec.canonical_name)


def check_encoder(av: Any) -> None:
    """Raise ConfigError where this PyAV cannot encode H.264."""
    if ENCODER not in av.codecs_available:
        raise ConfigError(
            f"needs the encoder {ENCODER}, which this build of PyAV lacks; install PyAV's own wheel "
            "(pip install --force-reinstall av), or an FFmpeg with x264 to build against",
            key="out",
        )
