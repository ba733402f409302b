"""``millrace models verify``: golden images through every engine that is here."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from inference_core.commands.exit_codes import EXIT_FAILED
from inference_core.commands.model_facts import TrustOption
from inference_core.commands.tables import print_table

if TYPE_CHECKING:
    from inference_core.golden.deviation import Deviation
    from inference_core.golden.read import Golden


def verify_model(
    package_uri: Annotated[str, typer.Argument(metavar="PACKAGE", help="Folder or URI.")],
    engines: Annotated[
        list[str] | None, typer.Option("--engine", help="Only this engine, which must run; may be repeated.")
    ] = None,
    precisions: Annotated[
        list[str] | None, typer.Option("--precision", help="Beside fp32: auto, bf16 or fp16; may be repeated.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    compiled: Annotated[bool, typer.Option("--compiled", help="Engine torch also with its compiler.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail for lower precisions too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    trust_package_code: TrustOption = False,
) -> None:
    """Replay a package's golden images through every engine and precision that is here, and print what differs.

    Exit code 0 where the contract holds, 1 where it does not, 2 where there is nothing to verify.
    """
    from inference_core.golden.read import load_golden
    from inference_core.golden.verify import breaks_contract, verify_engines, verify_resamplers
    from inference_core.models.package import load_package

    package = load_package(package_uri, trusts_code=trust_package_code)
    golden = load_golden(package)
    found = verify_engines(
        package, golden, engines=engines or (), precisions=precisions or ("auto",), device=device, compiles=compiled
    )
    others = verify_resamplers(package, golden)
    broken = [
        one
        for index, one in enumerate(found)
        if breaks_contract(one, is_wanted=index == 0 or bool(engines), is_strict=strict)
    ]
    if as_json:
        print_json(golden, found, others, passed=not broken)
    else:
        print_deviations(golden, found, others)
    if broken:
        raise typer.Exit(EXIT_FAILED)


def print_json(golden: Golden, found: Sequence[Deviation], others: Sequence[Deviation], *, passed: bool) -> None:
    """One object with every figure."""
    record = golden.record
    data = {
        "passed": passed,
        "model_digest": record.model_digest,
        "sealed_by": {"engine": record.engine, "precision": record.precision},
        "num_images": len(record.images),
        "tolerance": record.tolerance.model_dump(),
        "engines": [{**asdict(one), "passed": one.passed} for one in found],
        "resamplers": [asdict(one) for one in others],
    }
    sys.stdout.write(json.dumps(data, allow_nan=False) + "\n")


def print_deviations(golden: Golden, found: Sequence[Deviation], others: Sequence[Deviation]) -> None:
    """The difference table, what is behind each failure, and what else is other than it was."""
    from inference_core.golden.lines import COLUMNS, cells_of, sentence_of, tolerance_text, version_lines
    from inference_core.provenance import environment_versions

    record = golden.record
    sealed = f"sealed by {record.engine} {record.precision} on the CPU, for digest {record.model_digest[:12]}"
    title = f"{len(record.images)} golden images, {sealed}"
    table = Table(*COLUMNS, title=title, title_justify="left", box=SIMPLE, show_edge=False, pad_edge=False)
    for one in found:
        table.add_row(*cells_of(one))
    table.add_section()
    for one in others:
        table.add_row(*cells_of(one, is_judged=False))
    print_table(table)
    console = Console(soft_wrap=True)
    lines = [tolerance_text(record.tolerance)]
    lines += [sentence_of(one, num_sealed=len(record.images)) for one in found if not one.passed]
    lines += version_lines(record, environment_versions())
    for line in lines:
        console.print(line, markup=False, highlight=False)
