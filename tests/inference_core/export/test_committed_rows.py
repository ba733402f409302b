from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference_core import storage
from inference_core.errors import JobError
from inference_core.export.committed_rows import (
    iterate_results,
    list_records,
    newest_generations,
    read_rows,
    record_uri,
)


def commit(output: Path, shard_id: int, *rows: int, generation: int = 0) -> Path:
    """A shard's rows and its record."""
    name = f"data/part-{shard_id}-{generation}.parquet"
    (output / "data").mkdir(exist_ok=True)
    (output / "_commits").mkdir(exist_ok=True)
    pq.write_table(pa.table({"row_id": list(rows), "status": ["ok"] * len(rows)}), output / name)
    record = Path(record_uri(str(output), shard_id, generation))
    record.write_text(json.dumps({"shard_id": shard_id, "data": {"path": name}, "more": 1}))
    return record


def read(output: Path) -> list[tuple[int, list[int]]]:
    return [(found.shard_id, found.rows["row_id"].to_pylist()) for found in iterate_results(str(output))]


def test_without_a_commit_there_are_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_rows_come_by_shard_and_a_retry_supersedes(tmp_path: Path) -> None:
    commit(tmp_path, 10, 20, 21)
    commit(tmp_path, 2, 4)
    commit(tmp_path, 2, 5, generation=3)
    commit(tmp_path, 2, 6, generation=11)
    (tmp_path / "_commits" / "notes.txt").write_text("no record")
    (tmp_path / "data" / "part-orphan.parquet").write_bytes(b"torn")
    assert sorted(list_records(str(tmp_path))) == [(2, 0), (2, 3), (2, 11), (10, 0)]
    assert newest_generations(str(tmp_path)) == {2: 11, 10: 0}
    assert read(tmp_path) == [(2, [6]), (10, [20, 21])]


def test_columns_and_shards_are_chosen(tmp_path: Path) -> None:
    commit(tmp_path, 0, 0)
    commit(tmp_path, 1, 1)
    (found,) = iterate_results(str(tmp_path), columns=["status"], skip={0})
    assert (found.shard_id, found.rows.column_names) == (1, ["status"])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="a-list"),
        pytest.param("{}", id="nothing-in-it"),
        pytest.param('{"shard_id": 1, "data": {"path": "data/a.parquet"}}', id="of-another-shard"),
        pytest.param('{"shard_id": 0, "data": null}', id="without-a-file"),
    ],
)
def test_a_damaged_record_is_told(tmp_path: Path, text: str) -> None:
    commit(tmp_path, 0, 0).write_text(text)
    with pytest.raises(JobError, match=r"must be a commit record, got .* delete it and run the same command again"):
        read(tmp_path)


def test_remote_rows_are_those_of_a_file(tmp_path: Path) -> None:
    commit(tmp_path, 0, 3, 4)
    uri = "memory://rows/part.parquet"
    storage.replace(uri, (tmp_path / "data" / "part-0-0.parquet").read_bytes())
    assert read_rows(uri).equals(read_rows(str(tmp_path / "data" / "part-0-0.parquet")))
    assert read_rows(uri, columns=["status"]).column_names == ["status"]


READ_AND_END = """
import sys
from inference_core.export.committed_rows import read_rows
for _ in range(8):
    read_rows(sys.argv[1], columns=["row_id"])
"""


def test_a_process_that_ends_behind_its_reading_ends_well(tmp_path: Path) -> None:
    """Read with threads, one of four such processes is aborted: a command ended with 134 in place of its own code."""
    commit(tmp_path, 0, *range(512))
    command = [sys.executable, "-c", READ_AND_END, str(tmp_path / "data" / "part-0-0.parquet")]
    found = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(one.communicate()[1], one.returncode) for one in found] == [("", 0)] * 4
