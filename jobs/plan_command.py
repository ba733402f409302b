"""``millrace plan``: what a run will be and take, before it runs; and how its input has changed since it was listed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from inference_core.choice_lines import describe_execution
from inference_core.commands.model_facts import MODEL_HELP, TrustOption
from inference_core.errors import ConfigError
from jobs.bottleneck import WORK
from jobs.changed_input import Change, compare_input
from jobs.config import JobConfig
from jobs.estimate import EFFICIENCY, bound_images_per_s
from jobs.forecast import Forecast, forecast_job
from jobs.report.number_text import bytes_text, count_text, duration_text, ms_text, rate_text
from jobs.settings import folder_uri, read_settings
from jobs.status_command import JsonOption, write_table
from jobs.tuner import Alternative

PRICE_HELP = "What the whole cluster costs for an hour, in any currency; instead of the setting prices."
REFRESH_HELP = "Of a run: compare what it listed with the input as it is now, and list what differs. Runs no model."


def plan_job(
    model: Annotated[str | None, typer.Option("--model", "-m", help=MODEL_HELP)] = None,
    input_uris: Annotated[list[str] | None, typer.Option("--input", "-i", help="As for run.")] = None,
    output: Annotated[str | None, typer.Option("--output", "-o", help="As for run; nothing is written there.")] = None,
    config: Annotated[str | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    assignments: Annotated[list[str] | None, typer.Option("--set", help="As for run.")] = None,
    price_per_hour: Annotated[float | None, typer.Option("--price-per-hour", min=0, help=PRICE_HELP)] = None,
    refresh: Annotated[str | None, typer.Option("--refresh", metavar="OUTPUT", help=REFRESH_HELP)] = None,
    as_json: JsonOption = False,
    trust_package_code: TrustOption = False,
) -> None:
    """Count the input, run a sample of it, and say how long the run will take and what will hold it back."""
    if refresh is not None:
        if model or input_uris or output or config or assignments:
            raise ConfigError("must stand alone: the settings are the run's own; drop the others", key="--refresh")
        show_changes(refresh, as_json=as_json)
        return
    flags: dict[str, Any] = {"model": model, "input": input_uris or None, "output": output}
    flags["trust_package_code"] = trust_package_code or None
    settings = read_settings(config, flags=flags, assignments=assignments or [])
    forecast = forecast_job(settings, price_per_hour=price_per_hour)
    if as_json:
        sys.stdout.write(json.dumps(forecast_json(forecast)) + "\n")
    else:
        write_table(forecast_rows(forecast, settings))


def forecast_json(forecast: Forecast) -> dict[str, Any]:
    """All figures, for programs."""
    counted, probe = forecast.counted, asdict(forecast.probe)
    choice = probe.pop("choice")
    return {
        "num_images": counted.num_rows,
        "num_bytes": counted.num_bytes,
        "num_left_out": counted.num_left_out,
        "num_shards": len(counted.shards),
        "listing_s": round(counted.listing_s, 3),
        "num_done": forecast.num_done,
        "workers": asdict(forecast.workers),
        "layout_reason": forecast.layout_reason,
        "probe": probe,
        "choice": choice,
        "estimate": asdict(forecast.estimate),
        "tried": asdict(forecast.tried),
        **({"planes": forecast.planes.model_dump()} if forecast.planes else {}),
    }


def forecast_rows(forecast: Forecast, settings: JobConfig) -> list[tuple[str, str]]:
    """What a person wants to know before a run."""
    counted, estimate = forecast.counted, forecast.estimate
    done = f", {count_text(forecast.num_done)} of them done" if forecast.num_done else ""
    rate = f"{rate_text(estimate.images_per_s)} images/s; {EFFICIENCY:.0%} of what the sample says the workers can do"
    rows = [
        ("input", f"{count_text(counted.num_rows)} images{done}, {bytes_text(counted.num_bytes)}"),
        ("left out", f"{count_text(counted.num_left_out)} files, by include, exclude and kind"),
        ("shards", f"{count_text(len(counted.shards))}; listed in {duration_text(counted.listing_s)}"),
        ("layout", forecast.layout_reason),
        ("workers", workers_text(forecast)),
        *sample_rows(forecast),
        ("time", f"{duration_text(estimate.duration_s)} at {rate}"),
        ("output", f"{bytes_text(estimate.output_bytes)} of rows and masks"),
        *([("  chosen", forecast.planes.line)] if forecast.planes else []),
        ("bottleneck", estimate.bottleneck.sentence),
        ("advice", estimate.bottleneck.advice),
        *[("  tried", tried_text(forecast, one)) for one in forecast.tried.faster],
        *[("  tried", note) for note in forecast.tried.notes],
    ]
    if estimate.cost_per_million is not None:
        rows.append(
            ("cost", f"{estimate.cost_per_million:,.2f} per million images, {cost_text(forecast)} for this run")
        )
    rows.append(("next", f"millrace run with the same arguments; nothing was stored in {settings.output}"))
    return rows


def workers_text(forecast: Forecast) -> str:
    """How many will do what."""
    workers = forecast.workers
    where = (
        f"{workers.num_gpus} GPUs and {workers.num_cores} cores" if workers.num_gpus else f"{workers.num_cores} cores"
    )
    if workers.layout == "whole":
        return f"{workers.actors} on {where}"
    return f"{workers.actors} infer while {workers.prepare_tasks} prepare, on {where}"


def sample_rows(forecast: Forecast) -> list[tuple[str, str]]:
    """What the sample told of time, bytes and memory."""
    probe = forecast.probe
    failed = f", {probe.num_failed} of them without an answer" if probe.num_failed else ""
    times = ", ".join(f"{stage} {ms_text(probe.stage_ms[stage])}" for stage in WORK)
    sizes = {
        "file": probe.encoded_bytes,
        "prepared": probe.prepared_bytes,
        "raw output": probe.raw_bytes,
        "row and mask": probe.output_bytes,
    }
    rows = [
        ("sample", f"{probe.num_images} images{failed}, {probe.engine}"),
        ("  time", f"{times}, for one image on one worker"),
        ("  bytes", ", ".join(f"{name} {bytes_text(size)}" for name, size in sizes.items()) + ", for one image"),
    ]
    grown = [f"{stage} {bytes_text(size)}" for stage, size in probe.grown_bytes.items() if size is not None]
    if grown and probe.worker_bytes is not None:
        all_workers = (forecast.workers.actors + forecast.workers.prepare_tasks) * probe.worker_bytes
        total = f"{bytes_text(probe.worker_bytes)} a worker, {bytes_text(all_workers)} all workers"
        rows.append(("  memory", f"at most {', '.join(grown)}; {total}"))
    return rows + [("  chosen", line) for line in describe_execution(probe.choice)]


def tried_text(forecast: Forecast, one: Alternative) -> str:
    """An alternative and what it was found to do."""
    before = forecast.probe.stage_ms[one.stage]
    caution = f"; {one.caution}" if one.caution else ""
    bound = bound_images_per_s({**forecast.probe.stage_ms, one.stage: one.ms}, forecast.workers)
    return (
        f"{one.setting}: {one.stage} {ms_text(one.ms)} instead of {ms_text(before)}, which makes "
        f"{rate_text(EFFICIENCY * bound)} images/s{caution}"
    )


def cost_text(forecast: Forecast) -> str:
    """The price of this run."""
    estimate = forecast.estimate
    assert estimate.cost_per_million is not None, "a price is given"
    return f"{estimate.cost_per_million * estimate.images_per_s * estimate.duration_s / 1e6:,.2f}"


def show_changes(output: str, *, as_json: bool) -> None:
    """Write a line for each difference, and the sums."""
    counts = dict.fromkeys(("added", "changed", "removed"), 0)
    for change in compare_input(folder_uri(output, key="--refresh")):
        counts[change.kind] += 1
        sys.stdout.write(change_text(change, as_json=as_json) + "\n")
    if as_json:
        sys.stdout.write(json.dumps({"event": "refresh", **counts}) + "\n")
        return
    sums = ", ".join(f"{count_text(count)} {kind}" for kind, count in counts.items())
    advice = (
        "; a run keeps the listing that it began with: give what differs an output of its own"
        if any(counts.values())
        else ""
    )
    sys.stdout.write(f"{sums} since the run was listed{advice}\n")


def change_text(change: Change, *, as_json: bool) -> str:
    """A difference in a line."""
    if as_json:
        return json.dumps(asdict(change))
    return f"{change.kind:<8}{change.image_id}" + (f"  ({change.what})" if change.what else "")
