"""``millrace video``: a video with what is seen in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference_core.commands.engine_options import (
    CompileOption,
    DeviceOption,
    EngineOption,
    PrecisionOption,
    ThreadsOption,
)
from inference_core.commands.model_facts import MODEL_HELP, FactsOption, TrustOption, open_named_model
from inference_core.errors import ConfigError

if TYPE_CHECKING:
    from inference_core.models.package import ModelPackage
    from inference_core.predictor import Predictor
    from inference_core.video.read_frames import FrameReader, VideoFrame
    from inference_core.video.smooth import Smoothing
    from inference_core.video_predictor import AnsweredFrame, VideoPredictor

WINDOW_TITLE = "millrace video"


def annotate_video(
    source: Annotated[str, typer.Argument(help="Video file, URI, camera (/dev/video0) or stream (rtsp://...).")],
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Annotated file: .mp4, .m4v, .mov or .mkv.")] = None,
    rows: Annotated[Path | None, typer.Option("--rows", help="JSON lines: a row for each frame predicted.")] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", help="Predict at most so many frames of each second; all are written.")
    ] = None,
    smooth: Annotated[str, typer.Option("--smooth", help="Of scores over time: none, exponential or median.")] = "none",
    window_s: Annotated[float, typer.Option("--window-s", help="Half-life or length of the smoothing.")] = 0.5,
    threshold: Annotated[
        float | None, typer.Option("--event-threshold", min=0, max=1, help="From where on a class is an event.")
    ] = None,
    min_event_s: Annotated[float, typer.Option("--min-event-s", min=0, help="Shorter events are left out.")] = 0.0,
    max_s: Annotated[float | None, typer.Option("--max-s", help="End after so many seconds of the source.")] = None,
    has_audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Keep the sound as it is.")] = True,
    show: Annotated[bool, typer.Option("--show", help="Open a window; q ends.")] = False,
    alpha: Annotated[float, typer.Option("--alpha", min=0, max=1, help="Share of the colours in a mask.")] = 0.5,
    device: DeviceOption = "auto",
    engine: EngineOption = "default",
    precision: PrecisionOption = "auto",
    threads: ThreadsOption = 0,
    compiles: CompileOption = False,
    assignments: FactsOption = None,
    trust_package_code: TrustOption = False,
) -> None:
    """Predict a video's frames, write it with what is seen in it, and print what it shows and when as JSON."""
    check_targets(out, rows, show=show)
    from inference_core.video.open_video import is_live
    from inference_core.video.smooth import read_smoothing
    from inference_core.video_predictor import check_rate, with_all_classes

    smoothing = read_smoothing(smooth, key="--smooth")
    check_rate(fps)
    with open_named_model(model, assignments, trusts_code=trust_package_code) as opened:
        from inference_core.predictor import Predictor

        package = with_all_classes(opened)
        predictor = Predictor.load(
            package,
            device=device,
            engine=engine,
            precision=precision,
            precision_guard="off",  # there is no sample of images before the video is read
            num_threads=threads,
            compiles=compiles,
        )
        answers = build_answers(
            package, predictor, fps=fps, smoothing=smoothing, window_s=window_s, is_live_source=is_live(source)
        )
        tally = run_video(
            source, answers, package, out=out, rows=rows, max_s=max_s, has_audio=has_audio, show=show, alpha=alpha
        )
    sys.stdout.write(
        json.dumps(
            tally.report(smoothing=smoothing, window_s=window_s, threshold=threshold, min_event_s=min_event_s),
            ensure_ascii=False,
        )
        + "\n"
    )


def check_targets(out: Path | None, rows: Path | None, *, show: bool) -> None:
    """Raise ConfigError where nothing would be kept, or what is asked for cannot be made."""
    if out is None and rows is None and not show:
        raise ConfigError("must be named where nothing else is asked for; or give --rows or --show", key="--out")
    if out is not None:
        from inference_core.video.write_video import check_output

        check_output(out)
    if show:
        from inference_core.visualize.window import check_display

        check_display(key="--show")


def build_answers(
    package: ModelPackage,
    predictor: Predictor,
    *,
    fps: float | None,
    smoothing: Smoothing,
    window_s: float,
    is_live_source: bool,
) -> VideoPredictor:
    """What answers frames."""
    from inference_core.video_predictor import MAX_FRAMES, VideoPredictor

    return VideoPredictor(
        package,
        predictor,
        frames_per_s=fps,
        smoothing=smoothing,
        window_s=window_s,
        max_frames=1 if is_live_source else MAX_FRAMES,
    )


class Tally:
    """What a video showed, folded frame by frame.

    Args:
        package: of the model.
        source: of the frames.
    """

    def __init__(self, package: ModelPackage, source: str) -> None:
        self._package, self._source = package, source
        self._times_s: list[float] = []
        self._evidence: list[Any] = []
        self._num_frames = self._num_failed = self._num_predicted = 0
        self.broken = ""

    def add(self, answered: AnsweredFrame) -> None:
        """One more frame."""
        self._num_frames += 1
        if answered.prediction is not None:
            self._num_predicted += 1
            self._num_failed += not answered.prediction.is_ok
        if answered.evidence is not None:
            self._times_s.append(answered.frame.time_s)
            self._evidence.append(answered.evidence)

    def report(
        self, *, smoothing: Smoothing, window_s: float, threshold: float | None, min_event_s: float
    ) -> dict[str, Any]:
        """What is printed at the end."""
        import numpy as np

        from inference_core.storage import mask_secrets
        from inference_core.video.evidence import DEFAULT_THRESHOLDS
        from inference_core.video.smooth import smooth_scores
        from inference_core.video.timeline import summarise_video

        spec = self._package.spec
        counts = {
            "source": mask_secrets(self._source),
            "frames": self._num_frames,
            "predicted": self._num_predicted,
            "failed": self._num_failed,
            "broken": self.broken,
        }
        if spec.task not in DEFAULT_THRESHOLDS or not self._evidence:
            return counts
        times_s = np.array(self._times_s)
        evidence = smooth_scores(np.stack(self._evidence), times_s, method=smoothing, window_s=window_s)
        summary = summarise_video(
            evidence,
            times_s,
            class_names=spec.classes,
            threshold=DEFAULT_THRESHOLDS[spec.task] if threshold is None else threshold,
            min_event_s=min_event_s,
        )
        return counts | asdict(summary)


def run_video(
    source: str,
    answers: VideoPredictor,
    package: ModelPackage,
    *,
    out: Path | None,
    rows: Path | None,
    max_s: float | None,
    has_audio: bool,
    show: bool,
    alpha: float,
) -> Tally:
    """Read, answer, draw and write frame by frame; Ctrl-C ends the file as if the source had ended."""
    from inference_core.video.open_video import open_video
    from inference_core.video.read_frames import FrameReader
    from inference_core.video_predictor import draw_frame

    tally = Tally(package, source)
    with ExitStack() as stack:
        container = stack.enter_context(open_video(source))
        reader = FrameReader(container)
        target = Target(reader, out, stack, has_audio=has_audio)
        write_row = build_row_writer(rows, package, stack)
        try:
            for answered in answers.answer(until(reader.read(), max_s)):
                tally.add(answered)
                write_row(answered)
                if out is not None or show:
                    drawn = draw_frame(answered, alpha=alpha)
                    target.write(drawn, answered.frame)
                    if show and not show_frame(drawn):
                        break
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; what was seen until now is kept\n")
        tally.broken = reader.broken
    if tally.broken:
        sys.stderr.write(f"the source is damaged and was read up to there: {tally.broken}\n")
    return tally


class Target:
    """The annotated file, begun with the first frame, whose size it has.

    Args:
        reader: of the source; its sound is taken along.
        path: of the file; None for none.
        stack: ends the file.
        has_audio: whether sound is kept.
    """

    def __init__(self, reader: FrameReader, path: Path | None, stack: ExitStack, *, has_audio: bool) -> None:
        from inference_core.video.write_video import VideoWriter, check_output

        self._reader, self._path, self._stack = reader, path, stack
        self._audio = reader.audio if has_audio and path is not None else []
        self._writer: VideoWriter | None = None
        self._early: list[Any] = []
        if path is not None:
            check_output(path, audio=self._audio)
        if self._audio:
            reader.on_audio = self._take_audio

    def _take_audio(self, packet: Any) -> None:
        """Sound that comes before the first frame waits for it."""
        if self._writer is None:
            self._early.append(packet)
        else:
            self._writer.write_audio(packet)

    def write(self, pixels: Any, frame: VideoFrame) -> None:
        """Append a frame; nothing without a file."""
        if self._path is None:
            return
        if self._writer is None:
            from inference_core.video.write_video import VideoWriter

            self._writer = self._stack.enter_context(
                VideoWriter(
                    self._path,
                    image_hw=pixels.shape[:2],
                    time_base=self._reader.time_base,
                    rate=self._reader.rate,
                    audio=self._audio,
                )
            )
            for packet in self._early:
                self._writer.write_audio(packet)
        self._writer.write(pixels, pts=frame.pts, duration_pts=frame.duration_pts)


def until(frames: Iterable[VideoFrame], max_s: float | None) -> Iterator[VideoFrame]:
    """The frames before a time."""
    for frame in frames:
        if max_s is not None and frame.time_s >= max_s:
            return
        yield frame


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
        if answered.prediction is not None:
            row = builder.row(answered.prediction, row_id=answered.frame.frame_index)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write


def show_frame(picture: Any) -> bool:
    """Show a frame for a moment; whether to go on."""
    from inference_core.visualize.window import show_picture

    return show_picture(picture, title=WINDOW_TITLE, wait_ms=1)
