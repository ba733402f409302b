"""Read, answer, draw and write a video frame by frame."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_core.commands.kind_stop import KindStop
from inference_core.commands.ordered_worker import OrderedWorker
from inference_core.commands.video_target import FileTarget, WindowTarget, build_row_writer

if TYPE_CHECKING:
    from inference_core.commands.video_tally import VideoTally
    from inference_core.models.package import ModelPackage
    from inference_core.video.read_frames import VideoFrame
    from inference_core.video_predictor import VideoPredictor


def run_video(
    source: str,
    answers: VideoPredictor,
    package: ModelPackage,
    tally: VideoTally,
    *,
    out: Path | None,
    rows: Path | None,
    max_s: float | None,
    timeout_s: float,
    reconnect_s: float,
    has_audio: bool,
    show: bool,
    alpha: float,
) -> dict[str, Any]:
    """Every frame; Ctrl-C or a request to stop ends the file as if the source had ended.

    Returns:
        What is printed at the end.
    """
    from inference_core.video.open_reader import lost_lines, open_reader
    from inference_core.video.open_video import is_live

    with ExitStack() as stack:
        reader = open_reader(source, stack, timeout_s=timeout_s, retry_s=reconnect_s)
        window = WindowTarget(is_paced=not is_live(source)) if show else None
        write_row = build_row_writer(rows, package, stack)
        # Drawing and encoding take about as long as a small model, and go on beside it.
        with KindStop() as stop, OrderedWorker() as worker:
            target = None if out is None else FileTarget(reader, out, stack, worker, has_audio=has_audio, alpha=alpha)
            for answered in answers.answer(until(reader.read(), max_s)):
                with stop.step():
                    tally.add(answered)
                    write_row(answered)
                    if target is not None:
                        target.write(answered)
                    if window is not None and not window.show(answered, alpha=alpha):
                        break
        report = tally.report(broken=reader.broken, num_damaged=reader.num_damaged)
    for line in lost_lines(broken=report["broken"], num_damaged=report["damaged"]):
        sys.stderr.write(f"{line}\n")
    return report


def until(frames: Iterable[VideoFrame], max_s: float | None) -> Iterator[VideoFrame]:
    """The frames before a time."""
    for frame in frames:
        if max_s is not None and frame.time_s >= max_s:
            return
        yield frame
