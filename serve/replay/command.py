"""``millrace replay``: prove that a service answers as a run did."""

from __future__ import annotations

import json
import math
import os
import sys
import urllib.request
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from inference_core.commands.exit_codes import EXIT_DONE, EXIT_FAILED
from inference_core.errors import ConfigError

if TYPE_CHECKING:
    from serve.replay.given import Asker
    from serve.replay.replay import Comparison

PROTOCOLS = ("http", "v2", "grpc")
KEY_VARIABLE = "MILLRACE_API_KEY"
LOOK_TIMEOUT_S = 10.0

OutputArgument = Annotated[str, typer.Argument(help="Folder or prefix of a run.")]
UrlOption = Annotated[str, typer.Option("--url", help="Of the service; with --protocol grpc its host:port.")]
ModelOption = Annotated[str, typer.Option("--model", help="As the service names it; by default its first one.")]
ConcurrencyOption = Annotated[int, typer.Option("--concurrency", min=1, max=256, help="Images under way at once.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Rows at most.")]
ProtocolOption = Annotated[str, typer.Option("--protocol", help=f"One of {', '.join(PROTOCOLS)}.")]
ToleranceOption = Annotated[
    float, typer.Option("--tolerance", help="Largest absolute difference of numbers that have a fraction.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")]


def replay_run(
    output: OutputArgument,
    url: UrlOption,
    model: ModelOption = "",
    concurrency: ConcurrencyOption = 8,
    limit: LimitOption = None,
    protocol: ProtocolOption = "http",
    tolerance: ToleranceOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Send the images of a run to a service and compare its answers with the run's rows. Ends with 0 if all are equal.

    An API key is taken from MILLRACE_API_KEY.
    """
    from serve.replay.replay import replay
    from serve.replay.rows_of_run import iterate_run

    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ConfigError(f"must be a number of at least 0, got {tolerance}; 0 asks for equal bits", key="tolerance")
    asker = build_asker(protocol, url, model=model, key=os.environ.get(KEY_VARIABLE, ""))
    try:
        comparison = replay(iterate_run(output, limit=limit), asker, concurrency=concurrency, tolerance=tolerance)
    finally:
        asker.close()
    if not comparison.counts:
        raise ConfigError(f"must be a run with rows, got none below {output}; check the path", key="output")
    if as_json:
        sys.stdout.write(json.dumps(comparison.to_json()) + "\n")
    else:
        show_comparison(comparison, console=Console(soft_wrap=True))
    raise typer.Exit(EXIT_DONE if comparison.is_equal else EXIT_FAILED)


def build_asker(protocol: str, url: str, *, model: str, key: str) -> Asker:
    """What asks by a protocol.

    Raises:
        ConfigError: the protocol is unknown, the URL is none, or the service does not say its model.
    """
    from serve.replay.http_askers import OipAsker, PredictAsker

    if protocol == "http":
        return PredictAsker(url, model=model, key=key)
    if protocol == "v2":
        return OipAsker(url, model=model or first_model(url, key=key), key=key)
    if protocol == "grpc":
        from serve.replay.grpc_asker import GrpcAsker

        return GrpcAsker(url, model=model or first_grpc_model(url, key=key), key=key)
    raise ConfigError(f"must be one of {', '.join(PROTOCOLS)}, got {protocol!r}; choose one", key="protocol")


def first_model(url: str, *, key: str) -> str:
    """The name of a service's default model.

    Raises:
        ConfigError: it does not answer, or otherwise.
    """
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v1/models", headers={"Authorization": f"Bearer {key}"} if key else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=LOOK_TIMEOUT_S) as answer:
            return str(json.load(answer)["models"][0]["name"])
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise ConfigError(f"must be that of a service that tells its models, got {url} ({exc})", key="url") from exc


def first_grpc_model(url: str, *, key: str) -> str:
    """Likewise, over gRPC.

    Raises:
        ConfigError: it does not answer.
    """
    import grpc

    from serve.replay.grpc_asker import list_models

    try:
        return list_models(url, key=key, timeout_s=LOOK_TIMEOUT_S)[0]
    except (grpc.RpcError, LookupError) as exc:
        reason = exc.code().name if isinstance(exc, grpc.RpcError) else "it has no model"
        raise ConfigError(f"must be that of a service that tells its models, got {url} ({reason})", key="url") from exc


def show_comparison(comparison: Comparison, *, console: Console) -> None:
    """The outcome as tables."""
    table = Table(show_header=False, box=None, pad_edge=False)
    statuses = ", ".join(f"{count:,} {status}" for status, count in sorted(comparison.statuses.items()))
    table.add_row("equal", f"{comparison.counts['equal']:,}{f' ({statuses})' if statuses else ''}")
    for kind in ("differing", "refused", "lost", "skipped"):
        table.add_row(kind, f"{comparison.counts[kind]:,}")
    if comparison.largest:
        table.add_row("largest difference", f"{comparison.largest:.3g} ({escape(comparison.largest_at)})")
    console.print(table)
    for run, service in sorted(comparison.digests):
        console.print(f"the run's model is {run[:12]}, the service's is {service[:12]}", highlight=False)
    for reason, count in comparison.reasons.most_common():
        console.print(f"{count:,} {reason}", markup=False, highlight=False)
    if comparison.first:
        console.print(first_table(comparison))


def first_table(comparison: Comparison) -> Table:
    """The first rows that are not equal, column by column."""
    table = Table("image", "column", "run", "service", box=None, pad_edge=False)
    for outcome in comparison.first:
        if not outcome.differences:
            table.add_row(escape(outcome.image_id), outcome.kind, "", escape(outcome.refusal or outcome.lost))
        for entry in outcome.differences:
            table.add_row(escape(outcome.image_id), entry.column, escape(entry.expected), escape(entry.given))
    return table
