"""``millrace video``: a video with what is seen in it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inference_core.commands.engine_options import (
    CompileOption,
    DeviceOption,
    EngineOption,
    PrecisionOption,
    ThreadsOption,
)
from inference_core.commands.model_facts import MODEL_HELP, FactsOption, TrustOption, open_named_model
from inference_core.commands.video_run import run_video
from inference_core.commands.video_tally import VideoTally
from inference_core.errors import ConfigError

if TYPE_CHECKING:
    from inference_core.models.package import ModelPackage
    from inference_core.predictor import Predictor
    from inference_core.video.smooth import Smoothing
    from inference_core.video_predictor import VideoPredictor


def annotate_video(
    source: Annotated[str, typer.Argument(help="Video file, URI, camera (/dev/video0) or stream (rtsp://...).")],
    model: Annotated[str, typer.Option("--model", "-m", help=MODEL_HELP)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Annotated file: .mp4, .m4v, .mov or .mkv.")] = None,
    rows: Annotated[Path | None, typer.Option("--rows", help="JSON lines: a row for each frame predicted.")] = None,
    fps: Annotated[
        float | None, typer.Option("--fps", help="Predict at most so many frames of each second; all are written.")
    ] = None,
    smooth: Annotated[str, typer.Option("--smooth", help="Over time: none, exponential or median.")] = "none",
    window_s: Annotated[float, typer.Option("--window-s", help="Half-life or length of the smoothing.")] = 0.5,
    threshold: Annotated[
        float | None, typer.Option("--event-threshold", min=0, max=1, help="From where on a class is an event.")
    ] = None,
    min_event_s: Annotated[float, typer.Option("--min-event-s", min=0, help="Shorter events are left out.")] = 0.0,
    max_s: Annotated[float | None, typer.Option("--max-s", help="End after so many seconds of the source.")] = None,
    timeout_s: Annotated[
        float, typer.Option("--timeout-s", min=0.1, help="A stream has broken off when nothing came for so long.")
    ] = 10.0,
    reconnect_s: Annotated[
        float, typer.Option("--reconnect-s", min=0, help="Try for so long to open a stream again that broke off.")
    ] = 0.0,
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
    check_targets(source, out, rows, show=show)
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
        report = run_video(
            source,
            build_answers(
                package, predictor, fps=fps, smoothing=smoothing, window_s=window_s, is_live_source=is_live(source)
            ),
            package,
            VideoTally(
                package.spec,
                source,
                smoothing=smoothing,
                window_s=window_s,
                threshold=threshold,
                min_event_s=min_event_s,
            ),
            out=out,
            rows=rows,
            max_s=max_s,
            timeout_s=timeout_s,
            reconnect_s=reconnect_s,
            has_audio=has_audio,
            show=show,
            alpha=alpha,
        )
    sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")


def check_targets(source: str, out: Path | None, rows: Path | None, *, show: bool) -> None:
    """Raise ConfigError where nothing would be kept, or what is asked for cannot be made."""
    if out is None and rows is None and not show:
        raise ConfigError("must be named where nothing else is asked for; or give --rows or --show", key="--out")
    if out is not None:
        from inference_core.video.write_video import check_output

        check_output(out)
        if out.exists() and Path(source).exists() and out.samefile(source):
            raise ConfigError(f"must be another file than the source, got {out}; name a new one", key="--out")
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
