"""``millrace status``: how a run stands, read from its output alone."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer

from jobs.places import blamed_on
from jobs.report.number_text import count_text, duration_text, rate_text
from jobs.settings import folder_uri
from jobs.state_of_run import OpenRetry, RunStatus, read_status

OutputArgument = Annotated[str, typer.Argument(help="Folder or prefix of a run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
WatchOption = Annotated[
    float | None,
    typer.Option("--watch", min=0.1, help="Look again every so many seconds until no command works on the run."),
]
LIVING = ("starting", "working", "retrying")
"""Phases in which a command works on the run."""
CLEAR_SCREEN = "\x1b[2J\x1b[H"
LOOK_FRAC = 0.1
"""Most of the time that may go into looking: every record of the run is read each time."""


def show_status(output: OutputArgument, as_json: JsonOption = False, watch: WatchOption = None) -> None:
    """Say how a run stands, whether it runs, was stopped or is done. Reads its output and nothing else."""
    uri = folder_uri(output, key="output")
    while True:
        begun_s = time.monotonic()
        with blamed_on("output"):
            status = read_status(uri)
        if watch is not None and sys.stdout.isatty():
            sys.stdout.write(CLEAR_SCREEN)
        show_one(status, as_json=as_json)
        if watch is None or status.phase not in LIVING:
            return
        time.sleep(max(watch, (time.monotonic() - begun_s) / LOOK_FRAC))


def show_one(status: RunStatus, *, as_json: bool) -> None:
    """Write how a run stands."""
    if as_json:
        sys.stdout.write(json.dumps(asdict(status)) + "\n")
    else:
        write_table(status_rows(status))
    sys.stdout.flush()


def write_table(rows: list[tuple[str, str]]) -> None:
    """Names and values, on lines as long as they are."""
    width = max(len(name) for name, _ in rows)
    sys.stdout.write("".join(f"{name:<{width}}  {value}\n" for name, value in rows))


def status_rows(status: RunStatus) -> list[tuple[str, str]]:
    """What is shown of a run."""
    more = "" if status.is_listed_whole else ", and more are being listed"
    failed = {name: count for name, count in status.status_counts.items() if name != "ok"}
    rows = [
        ("run", f"{status.run_id}, {status.model_name}: {status.phase}"),
        ("listed", f"{count_text(status.num_listed)} images in {count_text(status.num_shards)} shards{more}"),
        ("committed", f"{count_text(status.num_done)} images in {count_text(status.num_committed)} shards"),
        ("  ok", count_text(status.status_counts.get("ok", 0))),
        *[(f"  {name}", count_text(count)) for name, count in sorted(failed.items())],
        *([("retry", retry_text(status.retry))] if status.retry else []),
        ("attempts", attempts_text(status)),
        ("command", status.holder or "none works on it"),
    ]
    if status.last_commit_age_s is not None:
        rows.append(("last commit", f"{duration_text(status.last_commit_age_s)} ago"))
    if status.images_per_s is not None:
        eta = "" if status.eta_s is None else f", {duration_text(status.eta_s)} left for what is listed"
        rows.append(("rate", f"{rate_text(status.images_per_s)} images/s over the last commits{eta}"))
    return [*rows, ("next", status.next_step)]


def retry_text(retry: OpenRetry) -> str:
    """What is done again, and how much of it is left."""
    statuses = ", ".join(retry.statuses)
    return f"{count_text(retry.num_rows)} images with status {statuses}, {count_text(retry.num_left)} left"


def attempts_text(status: RunStatus) -> str:
    """How often the run was started, and when last."""
    age_s = status.last_attempt_age_s
    return f"{status.num_attempts}" + ("" if age_s is None else f", the last began {duration_text(age_s)} ago")
