"""The command with ``--reuse``: a real Ray, both layouts, from and to S3, through faults, broken off and resumed."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from inference_core import storage
from inference_core.models.package import load_package
from jobs.settings import read_settings
from tests.drawn_images import draw_folder, png_bytes, write
from tests.integration.commands import Ended, command, commits, run_arguments, run_until
from tests.jobs.local_run import finish_job, read_rows
from tests.s3_loopback import Fault, S3Server
from tests.tiny_models import tiny_segmenter

pytestmark = pytest.mark.integration

SETTINGS = ("execution.rows_per_shard=4", "execution.num_cpus=2", "max_error_frac=1")
NUM_FIRST, NUM_NEW, NUM_BAD = 24, 3, 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_segmenter(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), NUM_FIRST, with_bad=True)


@pytest.fixture(scope="module")
def first(model: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    return run_here(model, folder, tmp_path_factory.mktemp("first") / "out")


def run_here(model: Path, images: Path, output: Path, *assignments: str) -> Path:
    """A run in this process, to take answers from or to compare with."""
    flags = {"model": str(model), "input": str(images), "output": str(output)}
    config = read_settings(None, flags=flags, assignments=[*SETTINGS, *assignments])
    finish_job(config, load_package(config.model))
    return output


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Path:
    """The folder with one image gone, one moved, one changed and two new ones, and a second copy of one of these."""
    copy = tmp_path / "changed"
    shutil.copytree(folder, copy)
    (copy / "0000.png").unlink()
    (copy / "0001.png").rename(copy / "zz.png")
    for name, index in (("0002.png", 200), ("new/a.png", 201), ("new/b.png", 202), ("new/c.png", 202)):
        write(copy / name, png_bytes(index))
    return copy


def end_of(ended: Ended) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.out)
    return found


def answers(output: str | Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if key not in ("reused_from", "uri")} for row in read_rows(output)
    ]


def masks_below(output: str | Path) -> dict[str, bytes]:
    below = storage.join(storage.normalise(str(output)), "masks")
    return {found.path: storage.read_bytes(found.uri) for found in storage.list_objects(below)}


def without_reuse(model: Path, images: Path, output: Path) -> Path:
    return run_here(model, images, output, "execution.duplicates=each")


@pytest.mark.parametrize("layout", ["whole", "split"])
def test_the_command_takes_over_what_is_known(
    model: Path, changed: Path, first: Path, tmp_path: Path, layout: str
) -> None:
    arguments = run_arguments(model, [changed], tmp_path / "out", *SETTINGS, f"execution.layout={layout}")
    ended = command(*arguments, "--reuse", str(first), "--log-format", "json")
    assert ended.code == 0, ended.err
    expected = without_reuse(model, changed, tmp_path / "fresh")
    assert answers(tmp_path / "out") == answers(expected)
    assert masks_below(tmp_path / "out") == masks_below(expected)
    end = end_of(ended)
    assert end["planned"] == end["ok"] + end["failed"] == NUM_FIRST - 1 + NUM_NEW + NUM_BAD
    assert (end["reused"], end["failed"]) == (NUM_FIRST - 2, NUM_BAD)
    assert end["duplicates"] <= 1  # one, if both copies came into one shard
    summary = json.loads((tmp_path / "out/report/summary.json").read_bytes())
    assert (summary["run"]["num_reused"], summary["run"]["is_balanced"]) == (NUM_FIRST - 2, True)
    assert f"reused {NUM_FIRST - 2} of {end['planned']}" in (tmp_path / "out/report/report.html").read_text()


def test_a_run_that_is_killed_goes_on_and_each_row_is_there_once(
    model: Path, changed: Path, first: Path, tmp_path: Path
) -> None:
    arguments = [*run_arguments(model, [changed], tmp_path / "out", *SETTINGS), "--reuse", str(first)]
    run_until(arguments, lambda: commits(tmp_path / "out") >= 2, number=signal.SIGKILL)
    ended = command(*arguments, "--log-format", "json")
    assert ended.code == 0, ended.err
    rows = read_rows(tmp_path / "out")
    assert [row["row_id"] for row in rows] == list(range(len(rows)))
    assert answers(tmp_path / "out") == answers(without_reuse(model, changed, tmp_path / "fresh"))
    assert end_of(ended)["reused"] == sum(row["reused_from"] is not None for row in rows) == NUM_FIRST - 2


@pytest.fixture
def faulty(s3_server: S3Server) -> Iterator[S3Server]:
    """Some requests are refused, and every refused write has happened."""
    s3_server.forget()
    s3_server.fault_every = 17, Fault("503 Slow Down", after=True)
    yield s3_server
    s3_server.fault_every = None
    s3_server.forget()


def test_between_prefixes_of_a_store_with_faults(
    model: Path, changed: Path, first: Path, tmp_path: Path, s3_bucket: str, faulty: S3Server
) -> None:
    prefix = f"{s3_bucket}/{uuid4().hex}"
    for root, name in ((changed, "in"), (first, "first")):
        for path in root.rglob("*"):
            if path.is_file():
                storage.replace(storage.join(prefix, name, path.relative_to(root).as_posix()), path.read_bytes())
    arguments = run_arguments(model, [f"{prefix}/in"], f"{prefix}/out", *SETTINGS, "execution.head_start=false")
    faulty.forget()
    ended = command(*arguments, "--reuse", f"{prefix}/first", "--log-format", "json")
    assert ended.code == 0, ended.err
    assert end_of(ended)["reused"] == NUM_FIRST - 2
    place = f"/{prefix.removeprefix('s3://')}/in/"
    reads = [request.path for request in faulty.requests("GET") if request.path.startswith(place)]
    assert len(set(reads)) == NUM_FIRST - 1 + NUM_NEW + NUM_BAD
    expected = without_reuse(model, changed, tmp_path / "fresh")
    assert answers(f"{prefix}/out") == answers(expected)
    assert masks_below(f"{prefix}/out") == masks_below(expected)


def test_another_model_takes_nothing_over(changed: Path, first: Path, tmp_path: Path, model: Path) -> None:
    from tests.tiny_models import tiny_classifier

    other = tiny_classifier(tmp_path / "other")
    arguments = run_arguments(other, [changed], tmp_path / "out", *SETTINGS)
    ended = command(*arguments, "--reuse", str(first))
    assert ended.code == 0, ended.err
    assert f"reuse: nothing of file://{first} is taken over: its model digest is" in ended.err
    assert "taken over  reused" not in ended.out
    assert {row["reused_from"] for row in read_rows(tmp_path / "out")} == {None}
