"""Where the answers for a video's frames go: an annotated file, rows, a window."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference_core.errors import ConfigError

if TYPE_CHECKING:
    from fractions import Fraction

    from inference_core.commands.ordered_worker import OrderedWorker
    from inference_core.models.package import ModelPackage
    from inference_core.records import Uint8Array
    from inference_core.video.live_reader import LiveReader
    from inference_core.video.read_frames import FrameReader
    from inference_core.video.write_video import VideoWriter
    from inference_core.video_predictor import AnsweredFrame

WINDOW_TITLE = "millrace video"


class FileTarget:
    """The annotated file, begun with the first frame, whose size it has.

    Args:
        reader: of the source; its sound is taken along.
        path: of the file.
        stack: ends the file, and must end behind the worker.
        worker: draws and encodes.
        has_audio: whether sound is kept.
        alpha: share of the colours in a mask.
    """

    def __init__(
        self,
        reader: FrameReader | LiveReader,
        path: Path,
        stack: ExitStack,
        worker: OrderedWorker,
        *,
        has_audio: bool,
        alpha: float,
    ) -> None:
        from inference_core.video.read_frames import FrameReader
        from inference_core.video.write_video import check_output

        self._reader, self._path, self._stack, self._worker = reader, path, stack, worker
        self._alpha = alpha
        self._audio = reader.audio if has_audio else []
        self._writer: VideoWriter | None = None
        self._early: list[Any] = []
        check_output(path, audio=self._audio)
        if self._audio:
            reader.on_audio = lambda packet: worker.do(lambda: self._write_audio(packet))
        if not isinstance(reader, FrameReader):
            reader.on_close = worker.wait

    def write(self, answered: AnsweredFrame) -> None:
        """Append a frame, soon."""
        pixel_aspect = self._reader.pixel_aspect
        self._worker.do(lambda: self._write(answered, pixel_aspect=pixel_aspect))

    def _write(self, answered: AnsweredFrame, *, pixel_aspect: Fraction) -> None:
        from inference_core.video.draw_answer import draw_answer

        frame = answered.frame
        drawn = draw_answer(frame.pixels, answered.shown, alpha=self._alpha)
        if self._writer is None:
            self._writer = self._begin(drawn, pixel_aspect=pixel_aspect)
        self._writer.write(drawn, pts=frame.pts, duration_pts=frame.duration_pts)

    def _begin(self, pixels: Uint8Array, *, pixel_aspect: Fraction) -> VideoWriter:
        """The file, with the sound that came before the first frame."""
        from inference_core.video.write_video import VideoWriter

        height, width = pixels.shape[:2]
        writer = self._stack.enter_context(
            VideoWriter(
                self._path,
                image_hw=(height, width),
                time_base=self._reader.time_base,
                rate=self._reader.rate,
                pixel_aspect=pixel_aspect,
                audio=self._audio,
            )
        )
        for packet in self._early:
            writer.write_audio(packet)
        self._early.clear()
        return writer

    def _write_audio(self, packet: Any) -> None:
        """Sound that comes before the first frame waits for it."""
        if self._writer is None:
            self._early.append(packet)
        else:
            self._writer.write_audio(packet)


class WindowTarget:
    """A window, in which a file plays no faster than its time.

    Args:
        is_paced: whether a frame waits for its time; a live source keeps its own.
    """

    def __init__(self, *, is_paced: bool) -> None:
        from inference_core.visualize.window import PictureWindow

        self._window = PictureWindow(WINDOW_TITLE)
        self._is_paced = is_paced
        self._began_s: float | None = None

    def show(self, answered: AnsweredFrame, *, alpha: float) -> bool:
        """Show a frame, with the share of colours in a mask; whether to go on."""
        from inference_core.video.draw_answer import draw_answer

        frame = answered.frame
        drawn = draw_answer(frame.pixels, answered.shown, alpha=alpha)
        if self._began_s is None:
            self._began_s = time.monotonic() - frame.time_s
        early_s = self._began_s + frame.time_s - time.monotonic() if self._is_paced else 0.0
        return self._window.show(drawn, wait_ms=max(1, round(early_s * 1000)))


def build_row_writer(rows: Path | None, package: ModelPackage, stack: ExitStack) -> Callable[[AnsweredFrame], None]:
    """What is done with each frame's row."""
    from inference_core.export.rows import RowBuilder

    if rows is None:
        return lambda answered: None
    try:
        rows.parent.mkdir(parents=True, exist_ok=True)
        file = stack.enter_context(rows.open("w", encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"must be a file that can be written, got {rows} ({exc.strerror})", key="--rows") from exc
    builder = RowBuilder(package.spec, model_digest=package.digest)

    def write(answered: AnsweredFrame) -> None:
        if answered.prediction is None:
            return
        row = builder.row(answered.prediction, row_id=answered.frame.frame_index)
        if answered.track_ids is not None and "objects" in row:
            for values, track_id in zip(row["objects"], answered.track_ids.tolist(), strict=True):
                values["track_id"] = track_id
        file.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write
