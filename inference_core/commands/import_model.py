"""``millrace models import``: a package from whatever training left behind."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inference_core.commands.tables import print_table
from inference_core.errors import ConfigError
from inference_core.importing.presets import PRESETS

if TYPE_CHECKING:
    from inference_core.importing.findings import Findings

PRESET_HELP = "Usual preprocessing by name: " + "; ".join(
    f"{name}: {preset.meaning}" for name, preset in PRESETS.items()
)
MAX_SHOWN = 200
"""Characters of a value in the table."""


def import_model_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="timm:NAME, hf:NAME, or the path or URI of an ONNX, Keras, TFLite, OpenVINO, TorchScript, .pt2 or "
            "Lightning file, of a state dict, or of a folder of a SavedModel or of Hugging Face.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", help="New folder or prefix of the package.")],
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", help="A fact of model.yaml as key.subkey=value; may be repeated; wins over all others."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help=PRESET_HELP + ".")] = None,
    task: Annotated[
        str | None, typer.Option(help="classification, multilabel, detection, segmentation or embedding.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class names in output order: a file with one a line, or a,b,c.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="Of a state dict: a built-in name, or package.module:factory.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of the table.")] = False,
) -> None:
    """Make a model package, and say what was found, what was assumed and what only you can say."""
    from inference_core.importing.findings import MissingFactsError
    from inference_core.importing.given import read_assignments
    from inference_core.importing.importer import import_model

    flags = {"preset": preset, "task": task, "classes": split_names(classes), "architecture": architecture}
    said = {key: value for key, value in flags.items() if value is not None} | read_assignments(assignments or [])
    try:
        imported = import_model(source, out=out, said=said)
    except MissingFactsError as exc:
        show_findings(exc.findings, as_json=as_json, written=None)
        raise
    package = imported.package
    show_findings(imported.findings, as_json=as_json, written={"package": package.uri, "digest": package.digest})


def split_names(classes: str | None) -> str | list[str] | None:
    """``a,b,c`` as a list; the name of a file as it is."""
    if classes is None or "," not in classes:
        return classes
    names = [name.strip() for name in classes.split(",")]
    if not all(names):
        raise ConfigError(f"must be names between commas, got {classes!r}; or name a file", key="--classes")
    return names


def show_findings(findings: Findings, *, as_json: bool, written: dict[str, str] | None) -> None:
    """Print what is known, where from, and what was made of it."""
    if as_json:
        sys.stdout.write(json.dumps({**findings.record(), **(written or {})}, ensure_ascii=False) + "\n")
        return
    print_table(findings_table(findings))
    console = Console()
    for key, value in (written or {}).items():
        console.print(Text(f"{key}  {value}"), soft_wrap=True)


def findings_table(findings: Findings) -> Table:
    """One line for each fact."""
    table = Table(title=f"import of {findings.source}", title_justify="left")
    for column in ("", "key", "value", "from"):
        table.add_column(column, overflow="fold")
    for kind in ("found", "assumed", "said"):
        for fact in getattr(findings, kind):
            table.add_row(*(Text(part) for part in (kind, fact.key, value_text(fact.value), fact.origin)))
    for gap in findings.missing:
        table.add_row(*(Text(part, style="bold") for part in ("missing", gap.key, "", gap.reason)))
    return table


def value_text(value: Any) -> str:
    """A value on a line or two."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 8:
        return f"{len(value)}: {', '.join(map(str, value[:3]))}, ..."
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
