"""Images that end the process that works on them: each costs its own row, and no other."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inference_core.models.package import load_package
from jobs.config import JobConfig
from jobs.driver import run
from jobs.progress import Counter as ProgressCounter
from jobs.progress import LineProgress
from jobs.settings import read_settings
from jobs.suspects import read_suspects
from tests.drawn_images import draw_folder
from tests.hooked_packages import hook, hooked_classifier
from tests.integration.commands import command, run_arguments
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.strikes import POISON_RGB

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]

NUM_IMAGES = 32
ROWS_PER_SHARD = 8
BAD = "0006.png"
"""In shard 0."""
FEW_MB = 300_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """31 images and a poisonous one."""
    folder = draw_folder(tmp_path_factory.mktemp("images"), NUM_IMAGES)
    Image.new("RGB", (24, 20), POISON_RGB).save(folder / BAD)
    return folder


def settings_of(package: Path, images: Path, output: Path, **execution: Any) -> JobConfig:
    execution = {"rows_per_shard": ROWS_PER_SHARD, "device": "cpu", "image_memory_bytes": FEW_MB, **execution}
    flags = {"model": str(package), "input": str(images), "output": str(output)}
    return read_settings(
        None, flags=flags, assignments=[f"execution.{key}={value}" for key, value in execution.items()]
    )


def run_quietly(config: JobConfig) -> Any:
    return run(config, show=lambda state: LineProgress(ProgressCounter(total=NUM_IMAGES, done=0), log_format="json"))


def deadly_package(folder: Path, *, how: str, stage: str = "infer") -> Path:
    """A package in ONNX that ends its process on poison: one that needs torch takes longer to die and to come back."""
    if stage == "prepare":
        return hooked_classifier(folder, input__filters=[hook("tests.strikes:strike_poison", how=how)])
    return hooked_classifier(folder, output__decoder=hook("tests.strikes:strike_scores", how=how))


@pytest.fixture(scope="module")
def expected(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows of a model that nothing kills."""
    path = deadly_package(tmp_path_factory.mktemp("harmless"), how="none")
    config = settings_of(path, folder, tmp_path_factory.mktemp("expected") / "out")
    package = load_package(str(path))
    run_shards(config, package, plan_job(config, package))
    return read_rows(config.output)


def assert_one_crashed(output: Path, expected: list[dict[str, Any]], error: str) -> None:
    rows = read_rows(output)
    assert [row["row_id"] for row in rows] == list(range(NUM_IMAGES))
    assert Counter(row["status"] for row in rows) == Counter({"ok": NUM_IMAGES - 1, "crashed": 1})
    (bad,) = [row for row in rows if row["status"] == "crashed"]
    assert bad["image_id"] == BAD
    assert error in bad["error"]
    others = [{k: v for k, v in row.items() if k != "model_digest"} for row in rows if row["image_id"] != BAD]
    assert others == [
        {k: v for k, v in row.items() if k != "model_digest"} for row in expected if row["image_id"] != BAD
    ]


@pytest.mark.parametrize(
    ("how", "stage", "layout", "error"),
    [
        pytest.param("abort", "infer", "whole", "was ended by SIGABRT", id="an-actor-aborts"),
        pytest.param("kill", "infer", "split", "was ended by SIGKILL", id="an-actor-that-infers-is-killed"),
        pytest.param("kill", "prepare", "split", "was ended by SIGKILL", id="a-task-is-killed"),
        # Ray takes an actor that exits for one that wants to end, and would wait for its shard for ever.
        pytest.param("exit", "infer", "whole", "ended with exit code 0", id="an-actor-exits"),
        pytest.param("exit", "infer", "split", "ended with exit code 0", id="an-actor-that-infers-exits"),
    ],
)
@pytest.mark.usefixtures("local_ray")
def test_a_deadly_image_costs_its_row(
    folder: Path, tmp_path: Path, expected: list[dict[str, Any]], how: str, stage: str, layout: str, error: str
) -> None:
    package = deadly_package(tmp_path / "package", how=how, stage=stage)
    config = settings_of(package, folder, tmp_path / "out", layout=layout, actors=1, head_start="false")
    outcome = run_quietly(config)
    assert_one_crashed(tmp_path / "out", expected, error)
    assert (outcome.facts.num_ok, outcome.facts.num_failed) == (NUM_IMAGES - 1, 1)


def test_the_whole_command_with_its_head_start_does_the_same(
    folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    package = deadly_package(tmp_path / "package", how="kill")
    sets = (f"execution.rows_per_shard={ROWS_PER_SHARD}", "execution.num_cpus=2", "max_error_frac=0.1")
    ended = command(*run_arguments(package, [folder], tmp_path / "out", *sets))
    assert ended.code == 0, ended.err
    # A shard that waited for the same actor may have gone with it.
    assert re.search(r"workers failed on [12] shards \(first: 0\); they are done again in quarantine", ended.err)
    assert "crashed" in ended.out
    assert "Traceback" not in ended.err
    assert_one_crashed(tmp_path / "out", expected, "was ended by SIGKILL")
    assert 0 in read_suspects((tmp_path / "out").as_uri())


def hanging_run(package: Path, folder: Path, output: Path, *, layout: str, head_start: str) -> list[str]:
    """The arguments of a command that is ended for want of progress, which is checked."""
    execution = {
        "layout": layout,
        "head_start": head_start,
        "rows_per_shard": ROWS_PER_SHARD,
        "num_cpus": 2,
        "no_progress_timeout_s": 25,
        "image_timeout_s": 5,
    }
    sets = [f"execution.{key}={value}" for key, value in execution.items()]
    arguments = run_arguments(package, [folder], output, *sets, "max_error_frac=0.1")
    ended = command(*arguments)
    assert ended.code == 1, ended.err
    last = ended.err.splitlines()[-1]
    assert last.startswith("error: the run stopped: a shard must be committed within 25 s, got none while ")
    assert "in work are shards 0" in last
    assert "Traceback" not in ended.err
    assert 0 in read_suspects(output.as_uri())
    assert not (output / "_SUCCESS").exists()
    assert not (output / "_lease.json").exists()
    return arguments


def test_a_hanging_run_is_ended_and_the_next_command_finishes_it(
    folder: Path, tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    package = deadly_package(tmp_path / "package", how="sleep")
    ended = command(*hanging_run(package, folder, tmp_path / "out", layout="whole", head_start="true"))
    assert ended.code == 0, ended.err
    assert_one_crashed(tmp_path / "out", expected, "gave no answer within 5 s")


def test_a_task_that_hangs_ends_the_run_too(folder: Path, tmp_path: Path) -> None:
    package = deadly_package(tmp_path / "package", how="sleep", stage="prepare")
    hanging_run(package, folder, tmp_path / "out", layout="split", head_start="false")
