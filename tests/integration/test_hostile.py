from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.asset_packages import mobilenet_package
from tests.integration.commands import Ended, command, descendants, own_memory_bytes, run_arguments
from tests.jobs.local_run import read_rows

pytestmark = [pytest.mark.integration, pytest.mark.assets, pytest.mark.slow]

MAX_PROCESS_BYTES = 1_500_000_000
"""Of one process: a photograph of 100 million pixels, the default limit, is 300 MB, and its resizing some of that."""


@pytest.fixture(scope="module")
def inputs(assets: Path) -> list[Path]:
    return [assets / "classification" / "imagenet", assets / "hostile", assets / "formats"]


@pytest.fixture(scope="module")
def arguments(assets: Path, inputs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("run")
    model = mobilenet_package(folder / "model", assets)
    return run_arguments(model, inputs, folder / "out", "execution.head_start=false")


@pytest.fixture(scope="module")
def watched(arguments: list[str]) -> tuple[Ended, int]:
    """How the run ended, and the most memory that one of its processes had."""
    most: list[int] = [0]

    def look(pid: int) -> None:
        most[0] = max([most[0], *map(own_memory_bytes, (pid, *descendants(pid)))])

    return command(*arguments, watch=look), most[0]


@pytest.fixture(scope="module")
def output(arguments: list[str]) -> Path:
    return Path(arguments[arguments.index("--output") + 1])


def rows_by_input(output: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in read_rows(output):
        found.setdefault(row["image_id"].split("/")[0], []).append(row)
    return found


def test_rows_out_are_files_in(watched: tuple[Ended, int], inputs: list[Path], output: Path) -> None:
    assert watched[0].code == 3, watched[0].err
    names = [
        f"{folder.name}/{path.relative_to(folder).as_posix()}"
        for folder in inputs
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    ]
    rows = read_rows(output)
    assert Counter(row["image_id"] for row in rows) == Counter(names)
    assert [row["row_id"] for row in rows] == list(range(len(names)))


def test_photographs_are_all_right(watched: tuple[Ended, int], output: Path) -> None:
    rows = rows_by_input(output)["imagenet"]
    assert len(rows) == 100
    assert {row["status"] for row in rows} == {"ok"}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("made_empty.jpg", "decode_error"),
        ("made_html_error.jpg", "unsupported"),
        ("made_truncated_10.jpg", "decode_error"),
        ("made_truncated_50.jpg", "decode_error"),
        ("made_truncated_95.jpg", "decode_error"),
        ("made_truncated_50.png", "decode_error"),
        ("made_bomb_20000.png", "too_large"),
        ("made_jpeg_named.png", "ok"),
        ("bmp__b__reallybig.bmp", "too_large"),
        ("broken.png", "decode_error"),
    ],
)
def test_a_hostile_file_has_the_status_that_it_deserves(
    watched: tuple[Ended, int], output: Path, name: str, status: str
) -> None:
    (row,) = [row for row in rows_by_input(output)["hostile"] if row["image_id"] == f"hostile/{name}"]
    assert (row["status"], bool(row["error"])) == (status, status != "ok")


def test_errors_do_not_depend_on_the_process(watched: tuple[Ended, int], output: Path) -> None:
    errors = [row["error"] for row in read_rows(output)]
    assert not [error for error in errors if " at 0x" in error]


def test_memory_is_bounded(watched: tuple[Ended, int]) -> None:
    assert 50_000_000 < watched[1] < MAX_PROCESS_BYTES


def test_the_same_command_with_a_higher_limit_ends_with_0(
    watched: tuple[Ended, int], arguments: list[str], output: Path
) -> None:
    before = read_rows(output)
    ended = command(*arguments, "--set", "max_error_frac=1", "--log-format", "json")
    assert ended.code == 0, ended.err
    assert read_rows(output) == before
    end = json.loads(ended.out)
    assert end["planned"] == end["ok"] + end["failed"] == len(before)
