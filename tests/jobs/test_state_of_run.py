from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.attempts import AttemptRecord, note_attempt
from jobs.changed_input import compare_input
from jobs.commits import CommitLog
from jobs.finalize import finalize
from jobs.lease import LEASE_FILE, Lease, new_lease
from jobs.listing import LISTING_FILE
from jobs.results import read_results
from jobs.retry_plan import RetryPlan, store_retry
from jobs.state_of_run import LAST_COMMITS, OpenRetry, find_holder, fold_progress, read_status
from jobs.status_command import show_status, status_rows
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, run_shards


def hold(output: str, **changes: object) -> Lease:
    lease = new_lease().model_copy(update=changes)
    storage.replace(storage.join(output, LEASE_FILE), lease.model_dump_json().encode())
    return lease


def test_an_output_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must hold a run"):
        read_status(str(tmp_path))


@pytest.mark.parametrize(
    ("done", "is_held", "expected"),
    [
        pytest.param([], True, "starting", id="nothing-yet"),
        pytest.param([], False, "stopped", id="died-before-the-first-commit"),
        pytest.param([0], True, "working", id="goes-on"),
        pytest.param([0], False, "stopped", id="died"),
        pytest.param([0, 1, 2], False, "committed", id="died-before-the-report"),
    ],
)
def test_the_phase_of_a_run(
    make_job: MakeJob, classifier: ModelPackage, done: list[int], is_held: bool, expected: str
) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan, done)
    if is_held:
        hold(config.output)
    status = read_status(config.output)
    assert status.phase == expected
    assert (status.holder is not None) is is_held
    assert (status.num_listed, status.num_shards, status.num_committed) == (10, 3, len(done))


def test_a_finished_run_and_its_counts(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    note_attempt(
        config.output,
        AttemptRecord(started_s=1000.0, layout="whole", layout_reason="", actors=1, num_cores=1, versions={}),
    )
    run_shards(config, classifier, plan)
    finalize(config.output, plan)
    last_s = max(record.started_s + record.wall_s for record in CommitLog(config.output).read_many(range(3)))
    status = read_status(config.output, now_s=last_s + 5.0)
    assert (status.phase, status.num_done, status.num_attempts) == ("finished", 10, 1)
    assert status.status_counts == {"ok": 7, "decode_error": 2, "unsupported": 1}
    assert status.last_commit_age_s == pytest.approx(5.0)
    assert status.last_attempt_age_s == pytest.approx(last_s + 5.0 - 1000.0)
    assert status.eta_s is None
    assert "report.html" in status.next_step


@pytest.mark.parametrize("is_held", [False, True])
def test_a_retry_that_is_not_done_is_told(make_job: MakeJob, classifier: ModelPackage, is_held: bool) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan)
    finalize(config.output, plan)
    assert read_status(config.output).retry is None
    selected = {0: (0, 1), 2: (1,)}
    retry = RetryPlan(generation=1, statuses=("decode_error", "oom"), limits=config.limits, selected=selected)
    store_retry(config.output, retry)
    log, again = CommitLog(config.output), CommitLog(config.output, generation=1)
    again.create(log.read(0))
    if is_held:
        hold(config.output)
    status = read_status(config.output)
    assert status.phase == ("retrying" if is_held else "retry_stopped")
    assert status.retry == OpenRetry(statuses=("decode_error", "oom"), num_rows=3, num_left=1)
    assert ("retry", "3 images with status decode_error, oom, 1 left") in status_rows(status)
    assert ("--status decode_error,oom" in status.next_step) is not is_held
    again.create(log.read(2))
    status = read_status(config.output)
    assert (status.phase, status.retry) == ("working" if is_held else "finished", None)


def test_a_run_is_watched_until_no_command_works_on_it(
    make_job: MakeJob, classifier: ModelPackage, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    hold(config.output)

    def work() -> None:
        for shard_id in range(3):
            run_shards(config, classifier, plan, [shard_id])
        finalize(config.output, plan)
        storage.delete_many([storage.join(config.output, LEASE_FILE)])

    worker = threading.Thread(target=work)
    worker.start()
    show_status(config.output, as_json=True, watch=0.01)
    worker.join()
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told[-1]["phase"] == "finished"
    assert {status["phase"] for status in told[:-1]} <= {"starting", "working"}
    counts = [status["num_done"] for status in told]
    assert counts == sorted(counts)


def test_reading_the_status_changes_nothing(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job()
    run_shards(config, classifier, plan_job(config, classifier))
    (tmp_path / "out" / LEASE_FILE).write_bytes(b"torn")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    assert read_status(config.output).holder is None
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_a_listing_that_goes_on_is_told(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job(execution__rows_per_shard=4)
    run_shards(config, classifier, plan_job(config, classifier))
    (tmp_path / "out" / LISTING_FILE).unlink()
    status = read_status(config.output)
    assert (status.num_listed, status.is_listed_whole, status.phase) == (10, False, "stopped")
    assert any("more are being listed" in value for _, value in status_rows(status))


def test_a_process_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    hold(str(tmp_path), pid_started="1")
    assert find_holder(str(tmp_path)) is None
    assert hold(str(tmp_path)).pid == os.getpid()
    assert find_holder(str(tmp_path)) is not None


def test_a_command_elsewhere_without_a_beat_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.state_of_run.LISTEN_S", 0.01)
    hold(str(tmp_path), host="elsewhere")
    assert find_holder(str(tmp_path)) is None


def test_the_rate_is_that_of_the_last_commits(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    run_shards(config, classifier, plan_job(config, classifier))
    record = CommitLog(config.output).read(0)
    count = 3 * LAST_COMMITS
    # Ten times as slow at first; committed in another order than that of the shards.
    ends = [10.0 * index if index < 2 * LAST_COMMITS else 20.0 * LAST_COMMITS + index for index in range(count)]
    records = [record.model_copy(update={"started_s": end, "wall_s": 0.0, "num_rows": 5}) for end in ends]
    progress = fold_progress(reversed(records))
    assert progress.num_rows == 5 * count
    assert len(progress.last) == LAST_COMMITS
    assert progress.images_per_s == pytest.approx(5.0)


def test_a_run_on_s3_is_read_as_one_on_disk(
    make_job: MakeJob, classifier: ModelPackage, s3_bucket: str, images: Path
) -> None:
    config = make_job(output=f"{s3_bucket}/status/out", execution__rows_per_shard=4)
    run_shards(config, classifier, plan_job(config, classifier), [0, 2])
    status = read_status(config.output)
    assert (status.phase, status.num_listed, status.num_done, status.num_committed) == ("stopped", 10, 6, 2)
    assert read_results(config.output)["row_id"].to_pylist() == [0, 1, 2, 3, 8, 9]
    sorted(path for path in images.rglob("*.*"))[0].unlink()
    assert [change.kind for change in compare_input(config.output)] == ["removed"]


def test_one_commit_has_no_rate(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=4)
    run_shards(config, classifier, plan_job(config, classifier), [0])
    assert read_status(config.output).images_per_s is None
