"""A model file in the place of a package: the whole command on photographs, stopped, and resumed without the file."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.integration.commands import command, commits, run_arguments, run_until
from tests.jobs.local_run import read_rows

pytestmark = [pytest.mark.integration, pytest.mark.assets, pytest.mark.slow]

NAME = "mobilenet_v1_0.25_128_quant.tflite"
FIT = "model_facts.input.fit=stretch"
SHARDS = ("execution.rows_per_shard=1", "execution.actors=1", "execution.num_cpus=2")
NUM_PHOTOGRAPHS = 24


@pytest.fixture(scope="module")
def folder(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few photographs."""
    target = tmp_path_factory.mktemp("photographs")
    for path in sorted((assets / "classification" / "imagenet").glob("*.JPEG"))[:NUM_PHOTOGRAPHS]:
        (target / path.name).symlink_to(path)
    return target


@pytest.fixture
def source(assets: Path, tmp_path: Path) -> Path:
    """A model file that a test may take away."""
    return Path(shutil.copy(assets / "models" / "classification" / NAME, tmp_path / NAME))


def test_a_file_runs_and_resumes_without_it(source: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = run_arguments(source, [folder], output, FIT, *SHARDS)
    code, _ = run_until(arguments, lambda: commits(output) >= 2, number=signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert commits(output) < NUM_PHOTOGRAPHS, "it was stopped too late to be resumed"
    source.unlink()

    ended = command(*arguments)
    assert ended.code == 0, ended.err
    assert "resuming" in ended.err
    rows = read_rows(output)
    assert [row["status"] for row in rows] == ["ok"] * NUM_PHOTOGRAPHS
    assert rows[0]["label"] == "tench, Tinca tinca"

    # What is kept is a package like any other, and gives the same answers.
    again = command(*run_arguments(output / "model", [folder], tmp_path / "again", *SHARDS))
    assert again.code == 0, again.err
    assert read_rows(tmp_path / "again") == rows


def test_assumptions_are_said(source: Path, folder: Path, tmp_path: Path) -> None:
    ended = command(*run_arguments(source, [folder], tmp_path / "out", FIT, "execution.num_cpus=2"))
    assert ended.code == 0, ended.err
    assert f"imported file://{source} on the fly; assumed:\n  input.color: rgb (usual; " in ended.err


def test_a_missing_fact_ends_the_command(source: Path, folder: Path, tmp_path: Path) -> None:
    ended = command(*run_arguments(source, [folder], tmp_path / "out"))
    assert ended.code == 2
    assert ended.err.endswith(
        f"error: file://{source} does not tell 1 fact that a model package needs; say it:\n"
        "  input.fit: how images got the input's size in training: letterbox, stretch, shortest_side_crop, tile or "
        "native; e.g. --set model_facts.input.fit=stretch\n"
    )
    assert not (tmp_path / "out").exists()
