from __future__ import annotations

from pathlib import Path

import pytest

from jobs.planning_traces import find_foreign


def write(folder: Path, *paths: str) -> str:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    return str(folder)


@pytest.mark.parametrize(
    "paths",
    [[], [".millrace-probe-1"], ["model/import.json"], ["model/import.json", "model/a/b.bin", "model-1/import.json"]],
    ids=["empty", "probe", "marker", "models"],
)
def test_traces_of_a_planning(paths: list[str], tmp_path: Path) -> None:
    assert find_foreign(write(tmp_path, *paths)) is None


@pytest.mark.parametrize(
    ("paths", "foreign"),
    [
        (["a.txt"], "a.txt"),
        (["model"], "model"),
        (["model/model.yaml"], "model/model.yaml"),
        (["models/import.json"], "models/import.json"),
        (["model/import.json", "model-1/x"], "model-1/x"),
        (["manifest.parquet"], "manifest.parquet"),
    ],
    ids=["file", "file-called-so", "package-of-the-user", "longer-name", "second-folder", "no-manifest"],
)
def test_files_of_somebody_else(paths: list[str], foreign: str, tmp_path: Path) -> None:
    assert find_foreign(write(tmp_path, *paths)) == foreign
