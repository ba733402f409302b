"""Disturb runs in many ways, and see that each gives what an undisturbed one gives.

    python benchmarks/chaos.py --faults 26 --seed 0

Each fault strikes one run of --images small images at a moment drawn from the seed: on a cluster of three nodes beside
its head (``ray.cluster_utils.Cluster``, GPUs that only count), on the same cluster with images and output on an S3
protocol server on loopback, or on the Ray that the command starts itself. Commands are the real ones in processes of
their own. Where a command ends before the run is done, as it must after some faults, the same command is given again.

A run is right where every command had the exit code that it must have, there is a row for each image and no second
one, all rows are equal to those of the undisturbed run to the bit in all columns but times, and so is the report: all
of ``summary.json`` but ``run`` and ``timings``, and the tables beside it. An image that kills costs its own row: such a
run is compared with the undisturbed one in which that image could not be decoded. The exit code is 1 where a run is
wrong.

What it takes: about 15 s for each fault on four cores; root rights for a file system that is full.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from faults.cases import KINDS, Case, draw_cases
from faults.driver import WrongError
from faults.grounds import Grounds
from faults.inputs import make_inputs
from faults.strikes import STRIKES
from faults.trial import Trial
from faults.verdict import Verdict
from rich.console import Console
from rich.table import Table

from jobs.termination import exit_on_sigterm

COLUMNS = ("", "fault", "where", "how", "at", "commands", "rows / inputs", "doubles", "rows", "report", "s", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What became of a case."""

    case: Case
    struck_frac: float | None
    """Share of the shards that were committed when it struck."""
    num_commands: int
    verdict: Verdict | None
    """None where there is nothing to compare."""
    wall_s: float
    problem: str
    """"" where the run is right."""


def run_case(case: Case, grounds: Grounds) -> Line:
    """Disturb a run and judge it."""
    started_s = time.monotonic()
    trial, verdict = Trial(case, grounds), None
    try:
        STRIKES[case.kind](trial)
        wall_s = time.monotonic() - started_s
        verdict = trial.judge()
        problem = "; ".join(verdict.problems(len(grounds.inputs.names)))
    except WrongError as exc:
        wall_s, problem = time.monotonic() - started_s, str(exc)
    finally:
        trial.close()
    struck = None if trial.struck_at is None else trial.struck_at / grounds.num_shards
    return Line(
        case=case,
        struck_frac=struck,
        num_commands=trial.num_commands,
        verdict=verdict,
        wall_s=wall_s,
        problem=problem,
    )


def cells_of(line: Line, num_inputs: int) -> list[str]:
    """A line of the table."""
    case, verdict = line.case, line.verdict
    judged = ["-"] * 4
    if verdict is not None:
        judged = [
            f"{verdict.num_rows:,} / {num_inputs:,}",
            str(verdict.num_doubles),
            "equal" if verdict.rows_equal else "DIFFER",
            "equal" if verdict.report_equal else "DIFFERS",
        ]
    at = "all along" if line.struck_frac is None else f"{line.struck_frac:.0%}"
    named = [str(case.number), case.kind, case.place, case.how, at, str(line.num_commands)]
    return [*named, *judged, f"{line.wall_s:.1f}", line.problem or "right"]


def print_table(lines: Sequence[Line], num_inputs: int, *, wall_s: float) -> None:
    """All cases and the figure."""
    table = Table(*COLUMNS)
    for line in lines:
        table.add_row(*cells_of(line, num_inputs), style="red" if line.problem else None)
    console = Console(width=None if sys.stdout.isatty() else 190)
    console.print(table)
    num_right = sum(not line.problem for line in lines)
    num_kinds = len({line.case.kind for line in lines})
    console.print(f"{num_right} of {len(lines)} faults of {num_kinds} kinds left no trace; {wall_s:,.0f} s")


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of kinds, moments and victims")
    parser.add_argument("--faults", type=int, default=26, help="how many")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of them, separated by commas")
    parser.add_argument("--images", type=int, default=2048, help="of each run")
    parser.add_argument("--model", type=Path, help="package to use; by default a small one is made")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--keep", action="store_true", help="keep logs and outputs")
    options = parser.parse_args()
    options.kinds = options.kinds.split(",")
    if unknown := sorted(set(options.kinds) - set(KINDS)):
        parser.error(f"--kinds must be among {', '.join(KINDS)}, got {', '.join(unknown)}")
    return options


def main() -> None:
    options = read_options()
    exit_on_sigterm()
    started_s = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="millrace-chaos-"))
    lines: list[Line] = []
    try:
        inputs = make_inputs(scratch, count=options.images, seed=options.seed, model=options.model)
        with Grounds(scratch, inputs) as grounds:
            for case in draw_cases(options.seed, options.faults, options.kinds):
                lines.append(run_case(case, grounds))
                sys.stderr.write("  ".join(cells_of(lines[-1], len(inputs.names))) + "\n")
    finally:
        if not options.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    if options.json:
        sys.stdout.write(json.dumps([asdict(line) for line in lines]) + "\n")
    else:
        print_table(lines, options.images, wall_s=time.monotonic() - started_s)
    sys.exit(any(line.problem for line in lines))


if __name__ == "__main__":
    main()
