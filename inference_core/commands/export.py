"""``millrace models export``: a package in another format, written only if it answers as the original."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from inference_core.commands.model_facts import TrustOption
from inference_core.commands.tables import print_table
from inference_core.errors import ConfigError

if TYPE_CHECKING:
    from inference_core.convert.parity import Comparison
    from inference_core.convert.reference import Row

DYNAMIC = "dynamic"


def export_model(
    package_uri: Annotated[str, typer.Argument(metavar="PACKAGE", help="Folder or URI.")],
    target: Annotated[str, typer.Option("--format", help="onnx, torchscript, torch_export or openvino.")],
    out: Annotated[str, typer.Option(help="New folder or prefix of the exported package.")],
    images: Annotated[
        list[str] | None,
        typer.Option(help="File or folder that both are compared on; may be repeated. By default the golden images."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="fp16, for onnx and openvino.")] = False,
    batch: Annotated[str, typer.Option(help="Images per forward of the new graph: dynamic or a number.")] = DYNAMIC,
    opset: Annotated[int | None, typer.Option(help="Version of the ONNX operators.")] = None,
    trust_package_code: TrustOption = False,
) -> None:
    """Write a package in another format, if it answers on images as the original does."""
    from inference_core.convert.export_package import build_export, write_export
    from inference_core.models.package import load_package

    package = load_package(package_uri, trusts_code=trust_package_code)
    export = build_export(
        package,
        target=target,
        out=out,
        images=tuple(images or ()),
        half=half,
        batch=parse_batch(batch),
        opset=opset,
    )
    print_table(comparison_table(export.comparison, title=f"{package.spec.name}: {package.spec.format} to {target}"))
    refusals = [f"{row.engine} does not run it: {row.refusal}" for row in export.comparison.after if row.refusal]
    for line in (*export.notes, *refusals):
        typer.echo(line)
    written = write_export(export, out)
    typer.echo(f"wrote {written.uri}\ndigest {written.digest}")


def parse_batch(text: str) -> int | None:
    """``dynamic`` as None, else the number."""
    if text == DYNAMIC:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"must be {DYNAMIC} or a whole number of at least 1, got {text!r}; correct it", key="--batch")
    return int(text)


def comparison_table(comparison: Comparison, *, title: str) -> Table:
    """Both packages, a row for each engine."""
    table = Table(title=f"{title}, on {comparison.num_images} images", box=SIMPLE, show_edge=False, pad_edge=False)
    for header in ("", "engine"):
        table.add_column(header, no_wrap=True)
    for header in ("difference", "relative", "other answers", "images/s", "MB"):
        table.add_column(header, justify="right", no_wrap=True)
    before = comparison.before
    table.add_row("before", before.engine, "", "", "", rate_text(before), size_text(before))
    for row in comparison.after:
        cells = ["does not run", "", "", ""]
        if not row.refusal:
            gaps = [gap_text(row.difference), gap_text(row.relative)]
            cells = [*gaps, f"{row.flips_frac:.2%}", rate_text(row)]
        table.add_row("after", row.engine, *cells, size_text(row))
    return table


def rate_text(row: Row) -> str:
    """Images per second, three digits at least."""
    return f"{row.images_per_s:,.{0 if row.images_per_s >= 100 else 1}f}"


def size_text(row: Row) -> str:
    """Of the weights, in millions of bytes."""
    return f"{row.num_bytes / 1e6:,.2f}"


def gap_text(gap: float | None) -> str:
    """A difference with two digits."""
    return "none" if gap == 0 else "not finite" if gap is None else f"{gap:.2g}"
