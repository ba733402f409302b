from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference_core import storage
from jobs.reuse.answer_index import AnswerIndex, index_columns, keys_of, store_index
from jobs.reuse.earlier_runs import EarlierFile, ran_on_gpus


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make_file(folder: Path, name: str, rows: list[tuple[str, str, int]]) -> EarlierFile:
    columns = {"status": [row[0] for row in rows], "sha256": [row[1] for row in rows], "page": [row[2] for row in rows]}
    table = pa.table({**columns, "page": pa.array(columns["page"], pa.int32())})
    path = folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return EarlierFile(output=folder.as_uri(), path=f"data/{name}", run_id="r", engine="e on cpu, fp32")


def found(index: AnswerIndex, sha256: str, page: int = 0) -> list[tuple[str, int]]:
    return [(file.path, row) for file, row in index.find(sha256, page)]


def test_no_files_are_an_empty_index(tmp_path: Path) -> None:
    assert found(AnswerIndex(store_index(tmp_path.as_uri(), [])), sha("a")) == []


def test_answers_are_found_by_bytes_and_page(tmp_path: Path) -> None:
    files = [
        make_file(tmp_path, "0.parquet", [("ok", sha("a"), 0), ("decode_error", sha("b"), 0), ("ok", "", 0)]),
        make_file(tmp_path, "1.parquet", []),
        make_file(tmp_path, "2.parquet", [("ok", sha("c"), 0), ("ok", sha("a"), 0), ("ok", sha("c"), 1)]),
    ]
    index = AnswerIndex(store_index(tmp_path.as_uri(), files))
    assert found(index, sha("a")) == [("data/0.parquet", 0)]  # the first of two
    assert found(index, sha("b")) == []
    assert found(index, sha("c")) == [("data/2.parquet", 0)]
    assert found(index, sha("c"), 1) == [("data/2.parquet", 2)]
    assert found(index, sha("c"), 2) == []
    assert found(index, sha("d")) == []


def test_a_file_that_is_gone_gives_nothing(tmp_path: Path) -> None:
    files = [
        make_file(tmp_path, "0.parquet", [("ok", sha("a"), 0)]),
        make_file(tmp_path, "1.parquet", [("ok", sha("b"), 0)]),
    ]
    (tmp_path / "data/0.parquet").unlink()
    index = AnswerIndex(store_index(tmp_path.as_uri(), files))
    assert (found(index, sha("a")), found(index, sha("b"))) == ([], [("data/1.parquet", 0)])


def test_the_same_files_are_indexed_once(tmp_path: Path) -> None:
    files = [make_file(tmp_path, "0.parquet", [("ok", sha("a"), 0)])]
    first = store_index(tmp_path.as_uri(), files)
    written = [info.mtime_s for info in storage.list_objects(first)]
    assert store_index(tmp_path.as_uri(), files) == first
    assert [info.mtime_s for info in storage.list_objects(first)] == written
    assert store_index(tmp_path.as_uri(), [*files, make_file(tmp_path, "1.parquet", [])]) != first


def test_a_worker_holds_20_bytes_for_each_answer(tmp_path: Path) -> None:
    files = [make_file(tmp_path, f"{n}.parquet", [("ok", sha(f"{n}/{k}"), 0) for k in range(64)]) for n in range(8)]
    columns = index_columns(files)
    assert sum(column.nbytes for column in columns.values()) == 20 * 8 * 64
    assert bool(np.all(np.diff(columns["key"].astype(object)) > 0))


@pytest.mark.parametrize("texts", [[], ["00" * 32], ["ff" * 32, "0123456789abcdef" + "0" * 48]], ids=len)
def test_keys_are_the_first_eight_bytes(texts: list[str]) -> None:
    assert keys_of(texts).tolist() == [int(text[:16], 16) for text in texts]


@pytest.mark.parametrize(
    ("engine", "expected"),
    [("torch on cuda, fp16", True), ("torch on cuda:0, fp16, compiled", True), ("onnxruntime on cpu, fp32", False)],
)
def test_the_kind_of_device_is_told_by_the_engine(engine: str, expected: bool) -> None:
    assert ran_on_gpus(engine) is expected
