from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inference_core.errors import JobError, ModelError
from inference_core.models.package import load_package
from jobs.isolated import EXIT_ABANDONED, Task
from jobs.isolated_process import Death, IsolatedProcess, describe_end
from jobs.quarantine import QuarantineShards, finish_shard
from jobs.sink import Receipt
from jobs.stage_settings import StageSettings
from tests.drawn_images import draw_folder
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards, shard_table, worker_settings
from tests.killers import deadly_package
from tests.strikes import POISON_RGB

NUM_IMAGES = 8


def poisoned_folder(folder: Path, *positions: int) -> Path:
    draw_folder(folder, NUM_IMAGES)
    for position in positions:
        name = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))[position]
        Image.new("RGB", (24 + position, 20), POISON_RGB).save(folder / name)  # no two files are equal
    return folder


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Starts a child for settings, and ends it."""
    started: list[QuarantineShards] = []

    def start(settings: StageSettings) -> QuarantineShards:
        started.append(QuarantineShards(settings))
        return started[-1]

    yield start
    for one in started:
        one.close()


KINDS = [
    pytest.param("exit", {}, "ended with exit code 0", id="exit"),
    pytest.param("kill", {}, "was ended by SIGKILL", id="kill"),
    pytest.param("abort", {}, "was ended by SIGABRT", id="abort"),
    pytest.param(
        "memory", {"execution__image_memory_bytes": 200_000_000}, "used more than 200 MB of memory", id="memory"
    ),
    pytest.param("sleep", {"execution__image_timeout_s": 2}, "gave no answer within 2 s", id="sleep"),
]


@pytest.mark.parametrize(("how", "limits", "error"), KINDS)
@pytest.mark.parametrize("stage", ["prepare", "infer"])
@pytest.mark.slow
def test_the_guilty_image_is_found_and_nothing_else_is_lost(
    make_job: MakeJob, tmp_path: Path, process: Any, how: str, limits: dict[str, Any], error: str, stage: str
) -> None:
    images = poisoned_folder(tmp_path / "poisoned", 5)
    package = load_package(str(deadly_package(tmp_path / "deadly", how=how, stage=stage)))
    config = make_job(model=package.uri, input=str(images), execution__rows_per_shard=NUM_IMAGES, **limits)
    settings = worker_settings(config, package, plan_job(config, package))
    receipts = process(settings)(shard_table([0]))
    assert receipts.to_pylist() == [{"shard_id": 0, "num_rows": 8, "num_ok": 7, "is_winner": True}]
    rows = read_rows(config.output)
    assert [row["status"] for row in rows] == ["ok"] * 5 + ["crashed"] + ["ok"] * 2
    assert rows[5]["error"] == f"the process that worked on the image {error}"
    assert rows[5]["label"] is None
    assert rows[5]["uri"].endswith(rows[5]["image_id"])

    harmless = load_package(str(deadly_package(tmp_path / "harmless", how="none")))
    other = make_job(model=harmless.uri, input=str(images), output=str(tmp_path / "other"))
    run_shards(other, harmless, plan_job(other, harmless))
    for row, expected in zip(rows, read_rows(other.output), strict=True):
        if row["status"] == "ok":
            assert row | {"model_digest": ""} == expected | {"model_digest": ""}


@pytest.mark.slow
def test_several_guilty_images_of_one_shard(make_job: MakeJob, tmp_path: Path, process: Any) -> None:
    images = poisoned_folder(tmp_path / "poisoned", 0, 3, 7)
    package = load_package(str(deadly_package(tmp_path / "deadly", how="kill")))
    config = make_job(model=package.uri, input=str(images), execution__rows_per_shard=NUM_IMAGES)
    process(worker_settings(config, package, plan_job(config, package)))(shard_table([0]))
    crashed = [row["row_id"] for row in read_rows(config.output) if row["status"] == "crashed"]
    assert crashed == [0, 3, 7]


@pytest.mark.slow
def test_images_that_are_deadly_only_together_lose_nothing(make_job: MakeJob, tmp_path: Path, process: Any) -> None:
    images = poisoned_folder(tmp_path / "poisoned", 2, 3)
    package = load_package(str(deadly_package(tmp_path / "deadly", how="kill", dies_of_pairs=True)))
    config = make_job(model=package.uri, input=str(images), execution__rows_per_shard=NUM_IMAGES)
    process(worker_settings(config, package, plan_job(config, package)))(shard_table([0]))
    assert {row["status"] for row in read_rows(config.output)} == {"ok"}


def test_a_shard_that_is_committed_stays(make_job: MakeJob, classifier: Any, process: Any) -> None:
    config = make_job(execution__rows_per_shard=4)
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    quarantine = process(settings)
    first = quarantine(shard_table([0])).to_pylist()
    assert quarantine(shard_table([0])).to_pylist() == [first[0] | {"is_winner": False}]


def test_an_error_that_is_no_crash_is_raised(make_job: MakeJob, classifier: Any, process: Any) -> None:
    config = make_job()
    settings = worker_settings(config, classifier, plan_job(config, classifier))
    broken = type(settings)(**{**vars(settings), "model_digest": "another"})
    with pytest.raises(ModelError, match="must be the planned model another"):
        process(broken)(shard_table([0]))


@pytest.fixture
def child(make_job: MakeJob, classifier: Any) -> Iterator[IsolatedProcess]:
    """A child that has done shard 0."""
    config = make_job()
    process = IsolatedProcess(worker_settings(config, classifier, plan_job(config, classifier)))
    assert isinstance(process.ask(Task(shard_id=0)), Receipt)
    yield process
    process.close()


def popen_of(process: IsolatedProcess) -> subprocess.Popen[bytes]:
    assert process._child is not None
    return process._child


def test_a_child_ends_with_its_parents_pipe(child: IsolatedProcess) -> None:
    popen = popen_of(child)
    assert popen.stdin is not None
    popen.stdin.close()
    assert popen.wait(30) == EXIT_ABANDONED


def test_a_child_that_was_killed_while_it_had_nothing_to_do_is_replaced(child: IsolatedProcess) -> None:
    popen_of(child).kill()
    popen_of(child).wait(30)
    assert child.ask(Task(shard_id=0)) == Death(how="was ended by SIGKILL", positions=())
    assert isinstance(child.ask(Task(shard_id=0)), Receipt)


class Scripted:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, *answers: Receipt | Death | None) -> None:
        self.answers = list(answers)
        self.asked: list[Task] = []

    def __call__(self, task: Task) -> Receipt | Death | None:
        self.asked.append(task)
        return self.answers.pop(0)


DONE = Receipt(shard_id=4, num_rows=2, num_ok=2, is_winner=True)


def death(*positions: int) -> Death:
    return Death(how="was ended by SIGSEGV", positions=positions)


def test_a_death_that_does_not_come_again_blames_nobody() -> None:
    ask = Scripted(death(0, 1), death(0), None, None, DONE)
    assert finish_shard(4, ask) == DONE
    assert [task.only for task in ask.asked] == [None, (0, 1), (0,), (1,), None]
    assert ask.asked[-1].crashed == {}
    assert ask.asked[-1].is_alone


def test_what_dies_again_and_again_is_blamed_in_the_end() -> None:
    ask = Scripted(death(0, 1), None, death(1), None, death(1), None, DONE)
    assert finish_shard(4, ask) == DONE
    assert ask.asked[-1].crashed == {1: "the process that worked on the image was ended by SIGSEGV"}


def test_a_process_that_dies_between_images_ends_the_run() -> None:
    with pytest.raises(JobError, match=r"must stay alive between images, but was ended by SIGSEGV"):
        finish_shard(4, Scripted(death(), death(), death()))


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "ended with exit code 0"), (-9, "was ended by SIGKILL"), (-200, "was ended by signal 200")],
)
def test_an_end_is_described(code: int, text: str) -> None:
    assert describe_end(code) == text
