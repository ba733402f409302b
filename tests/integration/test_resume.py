from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.drawn_images import draw_folder
from tests.integration.commands import (
    command,
    commits,
    descendants,
    name_of,
    run_arguments,
    run_until,
    wait_until_gone,
)
from tests.jobs.local_run import read_rows
from tests.same_result import csv_files_of, success_of, summary_of
from tests.tiny_models import tiny_classifier

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NUM_IMAGES = 63
ROWS_PER_SHARD = 3
NUM_SHARDS = 22
"""63 images and 3 bad files."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Slow enough to be interrupted: some 30 ms for an image."""
    return tiny_classifier(tmp_path_factory.mktemp("slow"), side_px=96, depth=8, mixes_batch=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), NUM_IMAGES, with_bad=True)


Job = Callable[..., list[str]]


@pytest.fixture(scope="module")
def job(model: Path, folder: Path) -> Job:
    """The arguments of the command over ``folder``."""

    def arguments(output: Path, *assignments: str) -> list[str]:
        fixed = (f"execution.rows_per_shard={ROWS_PER_SHARD}", "max_error_frac=1")
        return run_arguments(model, [folder], output, *fixed, *assignments)

    return arguments


@pytest.fixture(scope="module")
def undisturbed(job: Job, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that nobody stopped."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    ended = command(*job(output))
    assert ended.code == 0, ended.err
    return output


def assert_same_result(output: Path, undisturbed: Path) -> None:
    rows = read_rows(output)
    assert [row["row_id"] for row in rows] == list(range(NUM_IMAGES + 3))
    assert rows == read_rows(undisturbed)
    assert summary_of(str(output)) == summary_of(str(undisturbed))
    assert csv_files_of(str(output)) == csv_files_of(str(undisturbed))
    assert len(list((output / "data").iterdir())) == NUM_SHARDS
    assert success_of(str(output)) == success_of(str(undisturbed))


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "planned": lambda output: (output / "plan.json").exists(),
    "listed": lambda output: (output / "listing.json").exists(),
    "first-commit": lambda output: commits(output) >= 1,
    "half": lambda output: commits(output) >= NUM_SHARDS // 2,
    "all-committed": lambda output: commits(output) == NUM_SHARDS,
}


@pytest.mark.parametrize(
    ("moment", "head_start"),
    [*((moment, "true") for moment in MOMENTS), ("half", "false")],
)
def test_a_killed_run_goes_on_and_gives_what_an_undisturbed_one_gives(
    job: Job, undisturbed: Path, tmp_path: Path, moment: str, head_start: str
) -> None:
    output = tmp_path / "out"
    arguments = job(output, f"execution.head_start={head_start}")
    code, started = run_until(arguments, lambda: MOMENTS[moment](output), number=signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not (output / "_SUCCESS").exists(), "the moment was missed"
    left = wait_until_gone(started, timeout_s=30)
    assert not left, [name_of(pid) for pid in left]

    ended = command(*job(output))
    assert ended.code == 0, ended.err
    assert_same_result(output, undisturbed)


@pytest.mark.parametrize("layout", ["whole", "split"])
def test_a_killed_worker_is_replaced(job: Job, undisturbed: Path, tmp_path: Path, layout: str) -> None:
    output = tmp_path / "out"
    victims: list[int] = []

    def strike(pid: int) -> None:
        """Kill a process that infers, once, after the first commit."""
        inferring = [found for found in descendants(pid) if "Infer" in name_of(found) or "Whole" in name_of(found)]
        if not victims and commits(output) >= 1 and inferring:
            victims.append(inferring[0])
            os.kill(inferring[0], signal.SIGKILL)

    ended = command(*job(output, f"execution.layout={layout}", "execution.head_start=false"), watch=strike)
    assert ended.code == 0, ended.err
    assert victims, "no worker was found"
    assert_same_result(output, undisturbed)


def test_two_commands_on_one_output_give_each_row_once(job: Job, undisturbed: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(command, *job(output, "execution.num_cpus=2")) for _ in range(2)]
        ended = [future.result() for future in both]
    assert [end.code for end in ended] == [0, 0], [end.err for end in ended]
    assert_same_result(output, undisturbed)
