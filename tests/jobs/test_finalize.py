from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import JobError
from inference_core.models.package import ModelPackage
from jobs.attempts import AttemptRecord, note_attempt, noted_end, read_attempts
from jobs.commits import CommitLog
from jobs.finalize import Outcome, finalize, iso_time
from jobs.peak_memory import process_peak_bytes
from jobs.plan import Plan
from tests.drawn_images import write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, run_shards

REPORT_FILES = {"summary.json", "report.html", "per_class.csv", "errors.csv", "review.csv"}


@pytest.fixture
def plan(make_job: MakeJob, classifier: ModelPackage) -> Plan:
    """A run of ten images in three shards, all committed."""
    config = make_job(execution__rows_per_shard=4)
    made = plan_job(config, classifier)
    note(config.output, started_s=1000.0)
    run_shards(config, classifier, made)
    return made


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def note(output: str, *, started_s: float) -> None:
    record = AttemptRecord(
        started_s=started_s, layout="whole", layout_reason="asked", actors=1, num_cores=2, versions={"python": "3"}
    )
    note_attempt(output, record)


def report_of(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (output / "report").iterdir()}


def summary_of(output: Path) -> dict[str, Any]:
    return json.loads((output / "report" / "summary.json").read_text())


def test_a_whole_run_has_a_report_and_a_success_file(output: Path, plan: Plan) -> None:
    outcome = finalize(str(output), plan)
    assert isinstance(outcome, Outcome)
    assert set(report_of(output)) == REPORT_FILES
    facts = outcome.facts
    assert (facts.num_planned, facts.num_ok, facts.num_failed, facts.num_skipped) == (10, 7, 3, 0)
    assert (facts.num_shards, facts.num_attempts, facts.num_cores, facts.layout) == (3, 1, 2, "whole")
    assert outcome.failed_frac == 0.3
    assert json.loads((output / "_SUCCESS").read_text()) == {
        "run_id": plan.run_id,
        "planned": 10,
        "ok": 7,
        "failed": 3,
    }
    summary = summary_of(output)
    assert summary["num_rows"] == 10
    assert summary["run"]["is_balanced"] is True
    assert "onnxruntime on cpu" in summary["run"]["engine"]
    assert (output / "report" / "errors.csv").read_text().count("\n") >= 4


def test_finalizing_again_gives_the_same_bytes(output: Path, plan: Plan) -> None:
    finalize(str(output), plan)
    first = report_of(output)
    finalize(str(output), plan)
    assert report_of(output) == first


def test_two_runs_differ_only_in_their_own_blocks(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, output: Path, plan: Plan
) -> None:
    other = make_job(output=str(tmp_path / "other"), execution__rows_per_shard=3)
    other_plan = plan_job(other, classifier)
    for shard_id in (2, 0, 3, 1):
        note(other.output, started_s=float(shard_id))
        run_shards(other, classifier, other_plan, [shard_id])
    finalize(str(output), plan)
    finalize(other.output, other_plan)
    a, b = summary_of(output), summary_of(tmp_path / "other")
    assert a["run"]["num_attempts"] != b["run"]["num_attempts"]
    for block in ("run", "timings"):
        del a[block], b[block]
    assert a == b
    for name in ("per_class.csv", "errors.csv", "review.csv"):
        assert report_of(output)[name] == report_of(tmp_path / "other")[name]


def test_a_missing_shard_is_named_and_nothing_is_reported(output: Path, plan: Plan) -> None:
    (output / "_commits" / "000001.json").unlink()
    with pytest.raises(JobError, match=r"all 3 shards must be committed, 1 are not \(first: 1\); run the same command"):
        finalize(str(output), plan)
    assert not (output / "report").exists()
    assert not (output / "_SUCCESS").exists()


def test_a_damaged_record_is_named(output: Path, plan: Plan) -> None:
    (output / "_commits" / "000001.json").write_bytes(b"{")
    with pytest.raises(JobError, match="delete it and run the same command again"):
        finalize(str(output), plan)


def change_record(output: Path, shard_id: int, **changes: Any) -> None:
    path = output / "_commits" / f"{shard_id:06d}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_damaged_summary_is_named(output: Path, plan: Plan) -> None:
    change_record(output, 1, summary={"schema": 1})
    with pytest.raises(JobError, match="000001"):
        finalize(str(output), plan)


def test_rows_that_do_not_add_up_are_refused(output: Path, plan: Plan) -> None:
    log = CommitLog(str(output))
    change_record(output, 2, summary=log.read(0).model_dump(mode="json")["summary"])
    with pytest.raises(JobError, match=r"planned images must be ok \+ failed \+ skipped, got 10 = "):
        finalize(str(output), plan)
    assert not (output / "_SUCCESS").exists()


def test_one_shard_twice_does_not_stand_for_another(output: Path, plan: Plan) -> None:
    (output / "_commits" / "000001.json").write_bytes((output / "_commits" / "000000.json").read_bytes())
    with pytest.raises(JobError, match="000001"):
        finalize(str(output), plan)


@pytest.mark.parametrize("damage", ["gone", "shorter"])
def test_a_run_whose_rows_went_away_is_not_green(output: Path, plan: Plan, damage: str) -> None:
    path = output / CommitLog(str(output)).read(1).data.path
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(JobError, match="part-000001"):
        finalize(str(output), plan)


def test_only_orphans_are_removed(output: Path, plan: Plan) -> None:
    vouched = {record.data.path for record in CommitLog(str(output)).read_many([0, 1, 2])}
    write(output / "data" / "part-000001-deadbeef.parquet", b"a killed attempt")
    write(output / "masks" / "mine.png", b"not a row file")
    finalize(str(output), plan)
    assert {f"data/{path.name}" for path in (output / "data").iterdir()} == vouched
    assert (output / "masks" / "mine.png").exists()


def test_unfinished_files_of_killed_writers_are_removed(output: Path, plan: Plan) -> None:
    write(output / "data" / ".millrace-tmp-0123456789abcdef", b"half")
    os.utime(output / "data" / ".millrace-tmp-0123456789abcdef", (1, 1))
    finalize(str(output), plan)
    assert not list(output.rglob(".millrace-tmp-*"))


def test_the_report_tells_the_largest_processes(output: Path, plan: Plan) -> None:
    with noted_end(str(output), started_s=read_attempts(str(output))[0].started_s):
        pass
    peaks = finalize(str(output), plan).facts.peaks
    assert peaks.driver_bytes == pytest.approx(process_peak_bytes(), rel=0.05)
    assert set(peaks.bytes_by_pool) == {"workers"}
    assert summary_of(output)["run"]["peaks"]["bytes_by_pool"] == dict(peaks.bytes_by_pool)


def test_a_run_without_attempt_records_is_reported_too(output: Path, plan: Plan) -> None:
    for path in (output / "_attempts").iterdir():
        path.unlink()
    facts = finalize(str(output), plan).facts
    assert (facts.num_attempts, facts.wall_s, facts.images_per_s) == (0, 0.0, 0.0)


def test_iso_time() -> None:
    assert iso_time(0.6) == "1970-01-01T00:00:00+00:00"
