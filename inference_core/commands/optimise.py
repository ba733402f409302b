"""``millrace models optimise``: a smaller or faster package, with what it costs in answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from inference_core.commands.model_facts import TrustOption
from inference_core.commands.tables import print_table
from inference_core.errors import ConfigError

if TYPE_CHECKING:
    from inference_core.optimise.measure import Row
    from inference_core.optimise.optimise_package import Outcome

MAX_IMAGES = 256
"""Of a larger folder so many are taken, evenly spread: to measure on, and to calibrate on."""


def optimise_model(
    package_uri: Annotated[str, typer.Argument(metavar="PACKAGE", help="Folder or URI.")],
    out: Annotated[str, typer.Option(help="New folder or prefix of the optimised package.")],
    images: Annotated[
        list[str] | None,
        typer.Option(help="File or folder to measure on; may be repeated. By default the golden images."),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Truth of the images: a CSV file, or for segmentation a folder of masks.")
    ] = None,
    fuse: Annotated[bool, typer.Option("--fuse", help="Fold batch norms into convolutions (torch).")] = False,
    prune: Annotated[float | None, typer.Option(help="Share of the weights that become zero, the smallest.")] = None,
    graph: Annotated[str | None, typer.Option(help="Optimise the ONNX graph: basic or extended.")] = None,
    int8: Annotated[str | None, typer.Option(help="Quantise to 8 bits: static or dynamic.")] = None,
    half: Annotated[
        str | None, typer.Option(help="fp16: weights (stored so, computed as before) or graph (arithmetic too).")
    ] = None,
    calibration: Annotated[
        list[str] | None, typer.Option(help="File or folder for --int8 static; may be repeated. By default --images.")
    ] = None,
    ranges: Annotated[
        str, typer.Option(help="Range of an activation in --int8 static: minmax, entropy or percentile.")
    ] = "minmax",
    seven_bit: Annotated[
        bool, typer.Option("--seven-bit", help="--int8 with 7-bit weights, for processors without VNNI.")
    ] = False,
    keep_float: Annotated[
        list[str] | None, typer.Option(help="ONNX node, or pattern of some, that stays in float; may be repeated.")
    ] = None,
    max_flips: Annotated[float, typer.Option(help="Largest share of answers that may differ.")] = 0.02,
    trust_package_code: TrustOption = False,
) -> None:
    """Fuse, prune, optimise, quantise or halve a package, and write it if it still answers as before."""
    from inference_core.convert.sample import read_sample
    from inference_core.models.package import load_package
    from inference_core.optimise.labels import build_scorer
    from inference_core.optimise.optimise_package import optimise, other_engines, write_outcome
    from inference_core.optimise.recipe import build_recipe, plan_steps

    check_share(max_flips, key="--max-flips")
    recipe = build_recipe(
        fuse=fuse,
        prune_frac=prune,
        graph=graph,
        int8=int8,
        half=half,
        ranges=ranges,
        is_seven_bit=seven_bit,
        keep_float=tuple(keep_float or ()),
    )
    package = load_package(package_uri, trusts_code=trust_package_code)
    plan_steps(recipe, weights_format=package.spec.format)
    items = read_sample(package, images or (), max_images=MAX_IMAGES)
    calibrating = items
    if calibration:
        calibrating = read_sample(package, calibration, max_images=MAX_IMAGES, key="--calibration")
    scorer = None
    if labels is not None:
        scorer = build_scorer(package.spec, labels, image_ids=[item.source.image_id for item in items])
    outcome = optimise(package, recipe, items=items, calibration=calibrating, scorer=scorer, out=out)
    print_table(outcome_table(outcome, title=f"{package.spec.name} on {len(items)} images, one thread"))
    for line in outcome_lines(outcome):
        typer.echo(line)
    if int8 == "static" and not calibration:
        typer.echo("calibrated on the images that were measured: on others more answers may differ")
    written = write_outcome(outcome, out, max_flips_frac=max_flips)
    for line in other_engines(outcome, max_flips_frac=max_flips):
        typer.echo(f"warning: {line}", err=True)
    typer.echo(f"wrote {written.uri}\ndigest {written.digest}")


def check_share(value: float, *, key: str) -> None:
    """Raise ConfigError unless a number lies in [0, 1]."""
    if not 0 <= value <= 1:
        raise ConfigError(f"must be a share from 0 to 1, got {value}; correct it", key=key)


def outcome_table(outcome: Outcome, *, title: str) -> Table:
    """The original and every stage, a row for each engine."""
    scores = list(outcome.table[0].scores)
    table = Table(title=title, box=SIMPLE, show_edge=False, pad_edge=False)
    for header in ("after", "engine"):
        table.add_column(header)
    for header in (*scores, "other answers", "difference", "images/s", "speed", "size"):
        table.add_column(header, justify="right", no_wrap=True)
    for index, row in enumerate(outcome.table):
        table.add_row(*row_cells(row, scores=scores, is_reference=index == 0))
    return table


def row_cells(row: Row, *, scores: list[str], is_reference: bool) -> list[str]:
    """Text of one row."""
    size = f"{row.num_bytes / 1e6:,.2f} MB"
    if row.refusal:
        return [row.step, row.engine, *("" for _ in scores), "does not run", "", "", "", size]
    figures = [f"{row.scores[name]:.3f}" for name in scores]
    gaps = ["", ""] if is_reference else [f"{row.flips_frac:.2%}", gap_text(row)]
    rate = f"{row.images_per_s:,.{0 if row.images_per_s >= 100 else 1}f}"
    return [row.step, row.engine, *figures, *gaps, rate, f"{row.speedup:.2f}x", size]


def gap_text(row: Row) -> str:
    """Largest difference of the outputs, with two digits."""
    if not row.is_finite or row.max_difference is None:
        return "not finite"
    return f"{row.max_difference:.2g}" if row.max_difference else "none"


def outcome_lines(outcome: Outcome) -> list[str]:
    """What each step did, and why an engine does not run what came of it."""
    notes = [f"{stage.step}: {stage.note}" for stage in outcome.stages]
    refused = [row for row in outcome.table if row.refusal]
    return notes + [f"{row.engine} does not run it after {row.step}: {row.refusal}" for row in refused]
