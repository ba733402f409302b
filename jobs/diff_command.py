"""``millrace diff``: what two runs differ in."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from inference_core.errors import ConfigError
from jobs.json_events import finite
from jobs.settings import folder_uri

EXIT_FLIPPED = 1
"""More answers differ than ``--max-flips`` allows."""


def diff_runs(
    first: Annotated[str, typer.Argument(metavar="RUN_A", help="Folder or prefix of the run to compare with.")],
    second: Annotated[str, typer.Argument(metavar="RUN_B", help="Folder or prefix of the other run.")],
    max_flips: Annotated[
        float | None, typer.Option(help="End with code 1 where a larger share of the images is answered otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Compare two runs: other answers, changed scores, and drift of scores, sizes and classes."""
    from jobs.comparison.compare_runs import compare_runs
    from jobs.comparison.text import comparison_lines

    if max_flips is not None and not 0 <= max_flips <= 1:
        raise ConfigError(f"must be a share from 0 to 1, got {max_flips}; correct it", key="--max-flips")
    found = compare_runs(folder_uri(first, key="RUN_A"), folder_uri(second, key="RUN_B"))
    text = json.dumps(finite(found.record()), allow_nan=False) if as_json else "\n".join(comparison_lines(found))
    sys.stdout.write(f"{text}\n")
    if max_flips is not None and found.flips_frac > max_flips:
        sys.stderr.write(
            f"{found.flips_frac:.2%} of the images are answered otherwise, more than --max-flips {max_flips:g} allows\n"
        )
        raise typer.Exit(EXIT_FLIPPED)
