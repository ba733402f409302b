"""``millrace stream``: plays a video file or a camera through a service."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inference_core.errors import ConfigError

if TYPE_CHECKING:
    from serve.stream_player import Tally

KEY_VARIABLE = "MILLRACE_API_KEY"
SHOWN = ("rows", "rate", "none")
DROPS = ("stale", "never")
ENCODINGS = ("jpeg", "png")

SourceArgument = Annotated[
    str, typer.Argument(help="Video file, URI of one, a camera (/dev/video0) or a stream (rtsp://...).")
]
UrlOption = Annotated[str, typer.Option("--url", help="Of the service, e.g. ws://127.0.0.1:8000.")]
ModelOption = Annotated[str, typer.Option("--model", help="As the service names it; by default its first one.")]
FpsOption = Annotated[
    float | None, typer.Option("--fps", min=0.001, help="Frames at most for each second of the source; default all.")
]
SaveOption = Annotated[Path | None, typer.Option("--save", help="JSON lines: one result each.")]
ShowOption = Annotated[str, typer.Option("--show", help="rows: a line for each result; rate: sums at the end; none.")]
DropOption = Annotated[
    str,
    typer.Option(
        "--drop",
        help="stale: the source plays in its own time, and frames that wait too long are dropped; never: each frame "
        "is answered, however long it takes.",
    ),
]
EncodingOption = Annotated[
    str, typer.Option("--encode", help="jpeg: small; png: exactly the pixels that a job would read.")
]
InFlightOption = Annotated[int, typer.Option("--max-in-flight", min=1, help="Frames that are predicted at once.")]
ThresholdOption = Annotated[float | None, typer.Option("--threshold", min=0, max=1, help="In place of the model's.")]


def stream_source(
    source: SourceArgument,
    url: UrlOption,
    model: ModelOption = "",
    fps: FpsOption = None,
    save: SaveOption = None,
    show: ShowOption = "rate",
    drop: DropOption = "stale",
    encode: EncodingOption = "jpeg",
    max_in_flight: InFlightOption = 2,
    threshold: ThresholdOption = None,
) -> None:
    """Play a video file or a camera through a service and tell what it sees. A key is taken from MILLRACE_API_KEY."""
    check_choice("show", show, SHOWN)
    check_choice("drop", drop, DROPS)
    check_choice("encode", encode, ENCODINGS)
    from inference_core.video.open_video import is_live
    from serve.frame_source import read_frames  # here, because other commands do without OpenCV

    play = import_play()
    hello = {
        "model": model,
        "options": {} if threshold is None else {"threshold": threshold},
        "drop": drop,
        "max_in_flight": max_in_flight,
        "image_id": Path(source).name,
    }
    with ExitStack() as stack:
        tell = build_show(stack, save=save, prints_rows=show == "rows")
        tally = asyncio.run(
            play(
                read_frames(
                    source,
                    frames_per_s=fps,
                    encoding="png" if encode == "png" else "jpeg",
                    say=tell_line,
                ),
                url,
                hello=hello,
                key=os.environ.get(KEY_VARIABLE, ""),
                is_paced=drop == "stale" and not is_live(source),  # a camera keeps its own time
                show=tell,
            )
        )
    if show != "none":
        sys.stderr.write(f"{tally.sentence()}\n")


def tell_line(line: str) -> None:
    """A line on stderr."""
    sys.stderr.write(f"{line}\n")


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ConfigError unless an option is one of its values."""
    if value not in allowed:
        raise ConfigError(f"must be one of {', '.join(allowed)}, got {value!r}; choose one", key=name)


def import_play() -> Callable[..., Coroutine[Any, Any, Tally]]:
    """The client.

    Raises:
        ConfigError: its library is not installed.
    """
    try:
        from serve.stream_player import play
    except ImportError as exc:
        raise ConfigError("streams need websockets; pip install 'millrace[serve]'", key="url") from exc
    return play


def build_show(stack: ExitStack, *, save: Path | None, prints_rows: bool) -> Callable[[dict[str, Any]], None]:
    """What is done with each result."""
    file = None
    if save is not None:
        try:
            file = stack.enter_context(save.open("w", encoding="utf-8"))
        except OSError as exc:
            raise ConfigError(f"must be a file that can be written, got {save} ({exc.strerror})", key="save") from exc

    def tell(message: dict[str, Any]) -> None:
        if file is not None:
            file.write(json.dumps(message) + "\n")
        if prints_rows:
            sys.stdout.write(f"{message['time_s']:9.3f} s  frame {message['frame_index']:<6d} {describe(message)}\n")
            sys.stdout.flush()

    return tell


def describe(message: dict[str, Any]) -> str:
    """What was seen in one frame, in a few words."""
    row = message.get("prediction")
    if row is None:
        return str(message["problem"]["detail"])
    if row["status"] != "ok":
        return f"{row['status']}: {row['error']}"
    return f"{summary_of(row)}  ({message['timings']['total_ms']:.0f} ms)"


def summary_of(row: dict[str, Any]) -> str:
    """The answer of a row, whatever its task."""
    if "num_objects" in row:
        names = [entry["label"] for entry in row["objects"]]
        counts = {name: names.count(name) for name in dict.fromkeys(names)}
        return ", ".join(f"{count} {name}" for name, count in counts.items()) or "no object"
    if "foreground_frac" in row:
        return ", ".join(f"{entry['label']} {entry['frac']:.1%}" for entry in row["classes"])
    if "labels" in row:
        return ", ".join(row["labels"]) or "no label"
    if "embedding" in row:
        return f"{len(row['embedding'])} numbers of length {row['norm']:.4g}"
    return f"{row['label']} {row['score']:.3f}"
