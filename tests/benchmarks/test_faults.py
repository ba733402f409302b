"""The judge of ``benchmarks/chaos.py`` must see every difference, else its table says nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from faults.cases import EARLIEST, KINDS, LATEST, draw_cases
from faults.inputs import REFUSED, Inputs, make_inputs
from faults.strikes import STRIKES
from faults.verdict import Result, judge, read_result, with_crashed

from inference_core.models.package import load_package
from jobs.config import JobConfig
from jobs.finalize import finalize
from jobs.settings import read_settings
from tests.jobs.local_run import plan_job, run_shards

NUM_IMAGES = 48


def test_the_same_seed_gives_the_same_cases() -> None:
    assert draw_cases(3, 40, list(KINDS)) == draw_cases(3, 40, list(KINDS))
    assert draw_cases(3, 40, list(KINDS)) != draw_cases(4, 40, list(KINDS))
    assert draw_cases(3, 0, list(KINDS)) == []


def test_kinds_and_their_scenes_come_in_turn() -> None:
    cases = draw_cases(0, 2 * len(KINDS), list(KINDS))
    assert Counter(case.kind for case in cases) == dict.fromkeys(KINDS, 2)
    assert len({(case.kind, case.place, case.how) for case in cases}) == len(cases)
    assert all(EARLIEST <= case.moment <= LATEST for case in cases)


def test_each_kind_has_a_strike() -> None:
    assert STRIKES.keys() == KINDS.keys()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return make_inputs(tmp_path_factory.mktemp("chaos"), count=NUM_IMAGES, seed=1, model=None)


def run(inputs: Inputs, output: Path, order: str = "none") -> Result:
    """A run of this process over the inputs."""
    flags = {"model": str(inputs.package), "input": str(inputs.images), "output": str(output)}
    config: JobConfig = read_settings(None, flags=flags, assignments=["execution.rows_per_shard=16"])
    package = load_package(config.model)
    inputs.command(order)
    plan = plan_job(config, package)
    run_shards(config, package, plan)
    inputs.command("none")
    finalize(config.output, plan)
    return read_result(str(output))


@pytest.fixture(scope="module")
def undisturbed(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(inputs, tmp_path_factory.mktemp("undisturbed") / "out")


def test_runs_that_nobody_disturbed_are_equal(inputs: Inputs, undisturbed: Result, tmp_path: Path) -> None:
    verdict = judge(run(inputs, tmp_path / "out"), undisturbed, inputs.names)
    assert verdict.problems(NUM_IMAGES) == []
    assert (verdict.num_rows, verdict.num_doubles) == (NUM_IMAGES, 0)


def change_score(table: pa.Table) -> pa.Table:
    """One score, by its last bit."""
    rows = table.to_pylist()
    scored = next(row for row in rows if row["score"])
    scored["score"] *= 1 + 2**-22
    return pa.Table.from_pylist(rows, schema=table.schema)


CHANGES: dict[str, tuple[Callable[[Result], Result], list[str]]] = {
    "a row is missing": (
        lambda found: replace(found, table=found.table.slice(1)),
        [f"{NUM_IMAGES - 1} rows of {NUM_IMAGES}", "rows differ"],
    ),
    "a row is double": (
        lambda found: replace(found, table=pa.concat_tables([found.table, found.table.slice(3, 1)])),
        ["1 doubles", "rows differ"],
    ),
    "a score": (lambda found: replace(found, table=change_score(found.table)), ["rows differ"]),
    "the report": (lambda found: replace(found, summary={**found.summary, "num_rows": 1}), ["report differs"]),
    "a table": (lambda found: replace(found, csv_files={**found.csv_files, "errors.csv": b""}), ["report differs"]),
    "a file": (lambda found: replace(found, num_data_files=found.num_data_files + 1), ["files are left over"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_difference_is_seen(inputs: Inputs, undisturbed: Result, name: str) -> None:
    change, problems = CHANGES[name]
    assert judge(change(undisturbed), undisturbed, inputs.names).problems(NUM_IMAGES) == problems


def crash(found: Result, poison: tuple[str, ...], **more: Any) -> Result:
    """The result as if the poison had killed."""
    rows = [blank(row, **more) if row["image_id"] in poison else row for row in found.table.to_pylist()]
    return replace(found, table=pa.Table.from_pylist(rows, schema=found.table.schema))


def blank(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A row that tells only that its image killed."""
    kept = {name: value if name in ("row_id", "image_id", "uri") else type(value)() for name, value in row.items()}
    nothing = {name: None if row[name] is None else kept[name] for name in row}
    said = {"status": "crashed", "error": "the process that worked on the image was ended by SIGSEGV"}
    return nothing | {"orientation": 1} | said | more


@pytest.mark.parametrize(
    ("more", "rows_equal"),
    [
        pytest.param({}, True, id="as it must be"),
        pytest.param({"error": "something else"}, False, id="another reason"),
        pytest.param({"sha256": "0" * 64}, False, id="more than can be known"),
        pytest.param({"status": "ok"}, False, id="another status"),
    ],
)
def test_a_crashed_row_tells_its_reason_and_no_more(
    inputs: Inputs, tmp_path: Path, more: dict[str, str], rows_equal: bool
) -> None:
    refused = run(inputs, tmp_path / "out", REFUSED)
    assert pc.sum(pc.equal(refused.table["status"], "infer_error")).as_py() == len(inputs.poison)
    found = crash(refused, inputs.poison, **more)
    expected = with_crashed(refused, found, inputs.poison, str(tmp_path / "out"))
    assert judge(found, expected, inputs.names).rows_equal == rows_equal
    if rows_equal:
        assert expected.summary["status"]["crashed"] == len(inputs.poison)
        assert b"SIGSEGV" in expected.csv_files["errors.csv"]
