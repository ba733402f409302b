"""``millrace retry``: do failed rows of a finished run again."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from jobs.json_events import write_event
from jobs.progress import Counter, LogFormat, RunProgress, make_progress, write_notice
from jobs.retry_plan import RetryPlan

OutputArgument = Annotated[str, typer.Argument(help="Folder or prefix of a finished run.")]
StatusOption = Annotated[str, typer.Option("--status", help="Statuses of the rows, e.g. decode_error,crashed.")]


def show_retry(chosen: RetryPlan, num_left: int, *, console: Console, log_format: LogFormat) -> RunProgress:
    """Say what is done again; give the progress."""
    if log_format == "json":
        facts = {"generation": chosen.generation, "statuses": chosen.statuses}
        write_event(
            "retry", facts | {"images": chosen.num_rows, "shards": len(chosen.selected), "images_left": num_left}
        )
    else:
        write_notice(
            f"retry {chosen.generation}: {chosen.num_rows:,} images with status {', '.join(chosen.statuses)} in "
            f"{len(chosen.selected):,} shards, {num_left:,} to do",
            log_format=log_format,
        )
    counter = Counter(total=chosen.num_rows, done=chosen.num_rows - num_left)
    return make_progress(counter, log_format=log_format, console=console)
