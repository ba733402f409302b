from __future__ import annotations

import csv
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.drawn_images import BAD_FILES, draw_folder, write
from tests.integration.commands import Ended, command, commits, name_of, run_arguments, run_until, wait_until_gone
from tests.jobs.local_run import read_rows
from tests.tiny_models import tiny_classifier, tiny_segmenter

pytestmark = pytest.mark.integration

NUM_GOOD = 30
NUM_FILES = NUM_GOOD + len(BAD_FILES)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), NUM_GOOD, with_bad=True)


@pytest.fixture(scope="module")
def finished(model: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ended, Path]:
    """How a command ended, and its output."""
    output = tmp_path_factory.mktemp("finished") / "out"
    return command(*run_arguments(model, [folder], output), "--log-format", "json"), output


def test_rows_out_are_files_in(model: Path, folder: Path, finished: tuple[Ended, Path]) -> None:
    ended, output = finished
    assert ended.code == 3, ended.err
    rows = read_rows(output)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert [row["image_id"] for row in rows] == files
    failed = {row["image_id"]: row["status"] for row in rows if row["status"] != "ok"}
    assert failed == {"empty.jpg": "decode_error", "no image.txt": "unsupported", "truncated.png": "decode_error"}
    assert all(bool(row["error"]) == (row["status"] != "ok") for row in rows)
    assert all(row["label"] is not None for row in rows if row["status"] == "ok")

    end = json.loads(ended.out)
    assert (end["event"], end["exit_code"], end["planned"], end["ok"], end["failed"]) == ("done", 3, 33, 30, 3)
    events = [json.loads(line) for line in ended.err.splitlines()]
    assert [event["event"] for event in events][:2] == ["settings", "plan"]
    assert (events[-1]["event"], events[-1]["done"], events[-1]["total"]) == ("progress", 33, 33)

    summary = json.loads((output / "report" / "summary.json").read_text())
    assert summary["num_rows"] == NUM_FILES
    assert summary["run"]["num_attempts"] == 1
    with (output / "report" / "errors.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(BAD_FILES)
    assert (output / "_SUCCESS").is_file()

    again = command(*run_arguments(model, [folder], output, "max_error_frac=0.5"))
    assert again.code == 0, again.err
    assert "0 to do" in again.err
    assert "33 planned = 30 ok + 3 failed + 0 skipped" in again.out
    assert read_rows(output) == rows


def test_a_config_file_and_masks(folder: Path, tmp_path: Path) -> None:
    settings = {
        "model": str(tiny_segmenter(tmp_path / "model")),
        "input": [str(folder / "deep")],
        "output": str(tmp_path / "out"),
        "execution": {"num_cpus": 2},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(settings))
    ended = command("run", "--config", str(tmp_path / "job.yaml"))
    assert ended.code == 0, ended.err
    rows = read_rows(tmp_path / "out")
    assert len(rows) == NUM_GOOD // 5
    assert all((tmp_path / "out" / row["mask_path"]).is_file() for row in rows)
    finalized = command("finalize", str(tmp_path / "out"))
    assert finalized.code == 0, finalized.err


def bad_model(tmp_path: Path, folder: Path) -> dict[str, Any]:
    return {"model": tiny_classifier(tmp_path / "gray", channels=1)}


def occupied(tmp_path: Path, folder: Path) -> dict[str, Any]:
    write(tmp_path / "out" / "mine.txt", b"")
    return {}


def empty_folder(tmp_path: Path, folder: Path) -> dict[str, Any]:
    (tmp_path / "empty").mkdir()
    return {"input": tmp_path / "empty"}


@pytest.mark.parametrize(
    ("prepare", "assignments", "message"),
    [
        pytest.param(None, ["execution.batchsize=3"], "did you mean 'batch_size'", id="unknown-key"),
        pytest.param(None, ["execution.batch_size=many"], "execution.batch_size: must be", id="wrong-type"),
        pytest.param(None, ["model=/no/such/package"], "model must be a folder with a model.yaml", id="missing-model"),
        pytest.param(bad_model, [], "the graph takes 1 along C", id="wrong-channels"),
        pytest.param(empty_folder, [], "input: must hold at least one file", id="empty-folder"),
        pytest.param(None, ["input=/no/such/folder"], "input: must hold at least one file", id="missing-folder"),
        pytest.param(occupied, [], "output: must be empty or hold this run", id="occupied-output"),
        pytest.param(None, ["execution.device=cuda"], "must be", id="no-gpu"),
        pytest.param(
            None, ["execution.precision=fp16", "execution.device=cpu"], "precision: must be", id="no-fp16-on-a-cpu"
        ),
    ],
)
def test_a_wrong_job_ends_with_2_and_writes_no_row(
    model: Path, folder: Path, tmp_path: Path, prepare: Any, assignments: list[str], message: str
) -> None:
    changed = {"model": model, "input": folder} | (prepare(tmp_path, folder) if prepare else {})
    ended = command(*run_arguments(changed["model"], [changed["input"]], tmp_path / "out", *assignments))
    assert ended.code == 2, ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out" / "data").exists()
    assert not (tmp_path / "out" / "_commits").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "model: is required and missing"),
        (["run", "--config", "/no/such.yaml"], "--config: must be an existing file"),
        (["run", "--set", "x"], "--set: must be KEY=VALUE"),
        (["run", "--frobnicate"], "No such option"),
        (["finalize", "/no/such/run"], "output: must hold a run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2(arguments: list[str], message: str) -> None:
    ended = command(*arguments)
    assert ended.code == 2, ended.err
    assert message in ended.err
    assert "Traceback" not in ended.err


def test_a_resumed_run_with_other_settings_ends_with_2_and_changes_nothing(
    model: Path, folder: Path, finished: tuple[Ended, Path]
) -> None:
    _, output = finished
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    ended = command(*run_arguments(model, [folder], output, "limits.max_pixels=9"))
    assert ended.code == 2
    assert "limits.max_pixels: the run has 100000000, this command has 9" in ended.err
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_a_run_that_stops_tells_its_cause(model: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"

    def take_manifest(pid: int) -> None:
        if (output / "listing.json").exists():
            (output / "manifest" / "part-000000.parquet").unlink(missing_ok=True)

    arguments = run_arguments(model, [folder], output, "execution.head_start=false", "execution.num_cpus=1")
    ended = command(*arguments, watch=take_manifest)
    assert ended.code == 1
    last = ended.err.splitlines()[-1]
    assert last.startswith("error: the run stopped: MissingObjectError: ")
    assert "part-000000.parquet" in last


def test_an_address_that_is_none_ends_with_2(model: Path, folder: Path, tmp_path: Path) -> None:
    ended = command(*run_arguments(model, [folder], tmp_path / "out", "execution.address=nonsense"))
    assert ended.code == 2
    assert "execution.address: must be" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("head_start", ["true", "false"])
def test_sigterm_ends_with_143(folder: Path, tmp_path: Path, head_start: str) -> None:
    slow = tiny_classifier(tmp_path / "slow", side_px=96, depth=8)
    output = tmp_path / "out"
    sets = ("execution.rows_per_shard=1", "execution.num_cpus=2", f"execution.head_start={head_start}")
    arguments = run_arguments(slow, [folder], output, *sets)
    # The first commits come before Ray is there where there is a head start, else after.
    code, started = run_until(arguments, lambda: commits(output) >= 1, number=signal.SIGTERM)
    assert code == 143
    left = wait_until_gone(started, timeout_s=60)
    assert not left, [name_of(pid) for pid in left]
    assert not (output / "_SUCCESS").exists()
    num_done = len(read_rows(output))
    assert commits(output) == num_done < NUM_FILES  # that one goes on from there: test_job_submit.py
