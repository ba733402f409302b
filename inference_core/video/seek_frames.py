"""Some frames of a video by their times, without decoding the others where its container can be trusted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from inference_core.records import Uint8Array
from inference_core.video.open_video import import_av
from inference_core.video.read_frames import FrameReader, upright_pixels
from inference_core.video.sample_frames import SLACK_S

EXACT_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""As FFmpeg names them: their packets have the times of their frames, and a seek ends at the key frame before. Others
(MPEG-TS, AVI) seek to somewhere near and guess times, so that their frames are counted from the first one on."""


def frame_times(container: Any) -> list[float]:
    """Times of all frames since the first one in seconds, in the order in which they are shown.

    Args:
        container: of ``open_video``, at its beginning.

    Raises:
        ConfigError: there is no frame at all.

    Cost: reads the file; decodes it where the container is not of EXACT_FORMATS.
    """
    if container.format.name not in EXACT_FORMATS:
        return list(FrameReader(container).read_times())
    stream = container.streams.video[0]
    times = sorted(
        packet.pts
        for packet in whole_packets(container, stream)
        if packet.pts is not None and not packet.is_discard  # outside of what an edit list shows
    )
    start = first_time(stream)
    return [round(float((pts - start) * stream.time_base), 6) for pts in times]


def frames_at(container: Any, wanted: Sequence[tuple[int, float]]) -> Iterator[Uint8Array | None]:
    """Frames that ``frame_times`` told.

    Args:
        container: of ``open_video``, at its beginning.
        wanted: number and time of each, rising.

    Yields:
        (H, W, 3) uint8 RGB, upright; None for a frame that cannot be decoded. The video may end before the last one.

    Raises:
        ConfigError: from the first wanted one on there is no frame at all.
    """
    if not wanted:
        return iter(())
    if container.format.name not in EXACT_FORMATS:
        return counted_frames(container, [index for index, _ in wanted])
    return timed_frames(container, [time_s for _, time_s in wanted])


def counted_frames(container: Any, wanted: Sequence[int]) -> Iterator[Uint8Array | None]:
    """Frames by their numbers."""
    numbers = set(wanted)
    for index, frame in enumerate(FrameReader(container).decode()):
        if index in numbers:
            yield upright_pixels(frame)
        if index >= wanted[-1]:
            return


def timed_frames(container: Any, wanted: Sequence[float]) -> Iterator[Uint8Array | None]:
    """Frames by their times, decoded from the key frame before the first of them."""
    stream = container.streams.video[0]
    start = first_time(stream)
    if wanted[0] > 0:
        container.seek(start + round(wanted[0] / stream.time_base), stream=stream)
    left = iter(wanted)
    time_s: float | None = next(left)
    for frame in FrameReader(container).decode():
        if frame.pts is None:
            continue
        now_s = float((frame.pts - start) * stream.time_base)
        while time_s is not None and time_s < now_s - SLACK_S:
            yield None
            time_s = next(left, None)
        if time_s is None:
            return
        if time_s <= now_s + SLACK_S:
            yield upright_pixels(frame)
            time_s = next(left, None)


def whole_packets(container: Any, stream: Any) -> Iterator[Any]:
    """Packets of a stream up to where the file can be read."""
    av = import_av(key="source")
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError):
            return
        if packet is None:
            return
        yield packet


def first_time(stream: Any) -> int:
    """The time of the first frame in units of the stream."""
    return int(stream.start_time or 0)
