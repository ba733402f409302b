"""The job subcommands of ``millrace`` that do work: run, finalize, retry; and the registry of all."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from inference_core.choice_lines import describe_execution
from inference_core.commands.exit_codes import EXIT_DONE, EXIT_TOO_MANY_ERRORS
from inference_core.commands.model_facts import MODEL_HELP, TrustOption
from inference_core.execution_choice import ExecutionChoice
from jobs.config import JobConfig, dump_settings
from jobs.diff_command import diff_runs
from jobs.driver import run
from jobs.evaluate_command import evaluate_run
from jobs.explanations import explain_run
from jobs.export_command import export_answers
from jobs.finalize import Outcome, finalize
from jobs.finalize_again import explained_again, settings_again, visuals_again
from jobs.found_state import RunState
from jobs.golden import describe_golden
from jobs.json_events import event_line, write_event
from jobs.json_stderr import json_stderr
from jobs.outcome_lines import outcome_lines
from jobs.places import blamed_on
from jobs.plan import load_plan
from jobs.plan_command import plan_job
from jobs.progress import Counter, LogFormat, RunProgress, make_progress, write_notice
from jobs.report.effect_lines import effect_lines
from jobs.retry import retry
from jobs.retry_command import OutputArgument, StatusOption, show_retry
from jobs.settings import folder_uri, read_settings
from jobs.stage_progress import shown_stages
from jobs.status_command import show_status
from jobs.termination import exit_on_sigterm

ModelOption = Annotated[str | None, typer.Option("--model", "-m", help=MODEL_HELP)]
InputOption = Annotated[
    list[str] | None, typer.Option("--input", "-i", help="Folder, prefix or file of images; may be repeated.")
]
OutputOption = Annotated[str | None, typer.Option("--output", "-o", help="Folder or prefix of this run alone.")]
ConfigOption = Annotated[str | None, typer.Option("--config", "-c", help="YAML file with settings.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting as key.subkey=value; may be repeated; wins over all others."),
]
ReuseOption = Annotated[
    list[str] | None,
    typer.Option("--reuse", help="Output of an earlier run whose answers for the same bytes count; may be repeated."),
]
LogFormatOption = Annotated[str, typer.Option("--log-format", help="text or json.")]
MetricsPortOption = Annotated[
    int | None,
    typer.Option("--metrics-port", help="Serve Prometheus metrics at this port while the run works; 0 for a free one."),
]


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.command("run")(run_job)
    app.command("finalize")(finalize_run)
    app.command("plan")(plan_job)
    app.command("status")(show_status)
    app.command("retry")(retry_rows)
    app.command("evaluate")(evaluate_run)
    app.command("diff")(diff_runs)
    app.command("export")(export_answers)


def run_job(
    model: ModelOption = None,
    input_uris: InputOption = None,
    output: OutputOption = None,
    config: ConfigOption = None,
    reuse: ReuseOption = None,
    assignments: SetOption = None,
    log_format: LogFormatOption = "text",
    metrics_port: MetricsPortOption = None,
    trust_package_code: TrustOption = False,
) -> None:
    """Predict every image of a folder or prefix. The same command again goes on where the last one stopped."""
    exit_on_sigterm()
    flags: dict[str, Any] = {"model": model, "input": input_uris or None, "output": output, "reuse": reuse or None}
    flags["trust_package_code"] = trust_package_code or None  # the file's, where the flag is not given
    chosen, console = read_log_format(log_format), Console(stderr=True, soft_wrap=True)
    with json_stderr(is_on=chosen == "json"):
        settings = read_settings(
            config, flags=flags, assignments=[*metrics_assignment(metrics_port), *(assignments or [])]
        )
        print_settings(settings, console=console, log_format=chosen)
        outcome = run(
            settings,
            show=lambda state: show_state(state, console=console, log_format=chosen),
            notice=lambda message: write_notice(message, log_format=chosen),
            stages=shown_stages(console, log_format=chosen),
        )
        report_outcome(outcome, max_error_frac=settings.max_error_frac, log_format=chosen)


def finalize_run(
    output: Annotated[str, typer.Argument(help="Folder or prefix of a run whose shards are all committed.")],
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="Of visuals, explain or videos, as visuals.worst=50; may be repeated."),
    ] = None,
    log_format: LogFormatOption = "text",
) -> None:
    """Write the report of a run again, and its pictures and explanations, also others than before."""
    chosen, console = read_log_format(log_format), Console(stderr=True, soft_wrap=True)

    def say(message: str) -> None:
        write_notice(message, log_format=chosen)

    with json_stderr(is_on=chosen == "json"):
        uri = folder_uri(output, key="output")
        with blamed_on("output"):
            plan = load_plan(uri)
            settings = settings_again(plan, assignments or [], output=uri)
        visuals = visuals_again(settings, must_draw=bool(assignments), say=say)
        explained = explained_again(settings, plan, must_explain=bool(assignments), say=say)
        stages = shown_stages(console, log_format=chosen)
        outcome = finalize(uri, plan, visuals=visuals, videos=settings.videos, stages=stages)
        if explained:
            explain_run(settings, plan, explained, say=say, stages=stages)
        report_outcome(outcome, max_error_frac=float(plan.config["max_error_frac"]), log_format=chosen)


def retry_rows(
    output: OutputArgument,
    statuses: StatusOption,
    assignments: SetOption = None,
    log_format: LogFormatOption = "text",
    metrics_port: MetricsPortOption = None,
) -> None:
    """Do rows of a finished run again that have one of some statuses, and replace them."""
    exit_on_sigterm()
    chosen, console = read_log_format(log_format), Console(stderr=True, soft_wrap=True)
    with json_stderr(is_on=chosen == "json"):
        outcome = retry(
            folder_uri(output, key="output"),
            statuses=[name.strip() for name in statuses.split(",") if name.strip()],
            assignments=[*metrics_assignment(metrics_port), *(assignments or [])],
            show=lambda plan, num_left: show_retry(plan, num_left, console=console, log_format=chosen),
            notice=lambda message: write_notice(message, log_format=chosen),
            stages=shown_stages(console, log_format=chosen),
        )
        report_outcome(outcome, max_error_frac=float(outcome.plan.config["max_error_frac"]), log_format=chosen)


def metrics_assignment(port: int | None) -> list[str]:
    """The flag as an assignment; none where it is not given."""
    return [] if port is None else [f"execution.metrics_port={port}"]


def read_log_format(text: str) -> LogFormat:
    """The log format, checked."""
    if text not in ("text", "json"):
        raise typer.BadParameter(f"must be text or json, got {text!r}", param_hint="--log-format")
    return "json" if text == "json" else "text"


def print_settings(settings: JobConfig, *, console: Console, log_format: LogFormat) -> None:
    """The resolved settings, once."""
    dumped = dump_settings(settings)
    if log_format == "json":
        write_event("settings", dumped)
        return
    console.print(
        f"settings\n{yaml.safe_dump(dumped, sort_keys=False, default_flow_style=None, width=1_000).rstrip()}",
        markup=False,
        highlight=False,
    )


def show_state(state: RunState, *, console: Console, log_format: LogFormat) -> RunProgress:
    """Say what is planned and what is left; give the progress."""
    plan, listing = state.plan, state.listing
    facts = {
        "run_id": plan.run_id,
        "images": listing.num_rows,
        "bytes": listing.num_bytes,
        "left_out": listing.num_left_out,
        "shards": len(listing.shards),
        "is_whole": listing.is_whole,
        "shards_left": len(state.todo),
        **({"engine": asdict(plan.engine_choice)} if plan.engine_choice else {}),
        **({"batch": asdict(plan.batch_choice)} if plan.batch_choice else {}),
        **({"planes": plan.planes.model_dump()} if plan.planes else {}),
        **({"golden": asdict(state.golden)} if state.golden else {}),
        **({"imported": state.imported.record()} if state.imported else {}),
    }
    if log_format == "json":
        write_event("plan" if state.is_new else "resume", facts)
    else:
        verb = "planned" if state.is_new else f"resuming, {state.rows_done:,} images done:"
        console.print(
            f"{verb} {listing.num_rows:,} images ({listing.num_bytes / 1e6:,.1f} MB, {listing.num_left_out:,} files "
            f"left out) in {len(listing.shards):,} shards, {len(state.todo):,} to do"
            f"{'' if listing.is_whole else '; more are being listed'}",
            markup=False,
            highlight=False,
        )
        for line in (
            *describe_execution(ExecutionChoice(engine=plan.engine_choice, batch=plan.batch_choice)),
            *((plan.planes.line,) if plan.planes else ()),
            *(describe_golden(state.golden) if state.golden else ()),
            *(state.imported.assumption_lines() if state.imported else ()),
        ):
            console.print(line, highlight=False, markup=False)
    counter = Counter(total=listing.num_rows, done=state.rows_done, is_whole=listing.is_whole)
    return make_progress(counter, log_format=log_format, console=console)


def report_outcome(outcome: Outcome, *, max_error_frac: float, log_format: LogFormat) -> None:
    """Print how the run ended and exit accordingly."""
    facts = outcome.facts
    is_over = outcome.failed_frac > max_error_frac
    code = EXIT_TOO_MANY_ERRORS if is_over else EXIT_DONE
    if log_format == "json":
        state: dict[str, Any] = {"exit_code": code, "planned": facts.num_planned, "ok": facts.num_ok}
        state |= {"reused": facts.num_reused, "duplicates": facts.num_duplicates}
        state |= {"failed": facts.num_failed, "wall_s": round(facts.wall_s, 3), "report": outcome.report_uri}
        state |= {"bottleneck": asdict(facts.bottleneck)} if facts.bottleneck else {}
        state |= {"peaks": asdict(facts.peaks)}
        state |= {"cost": asdict(facts.cost)} if facts.cost else {}
        verdicts = outcome.summary.quality.verdicts
        state |= {"verdicts": dict(verdicts)} if verdicts else {}
        state |= {"postprocess": lines} if (lines := effect_lines(outcome.summary)) else {}
        sys.stdout.write(event_line("done", state) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in outcome_lines(outcome)))
        if is_over:
            sys.stderr.write(
                f"done, but {facts.num_failed:,} of {facts.num_planned:,} images have no result, more than "
                "max_error_frac "
                f"{max_error_frac:g}; see report/errors.csv\n"
            )
    raise typer.Exit(code)
