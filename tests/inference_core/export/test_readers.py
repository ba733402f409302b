"""The rows as the tools that people have read them, without a word of this project's code."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pytest

from inference_core.spec import ModelSpec
from tests.committed_run import CLASSES, HOSTILE, boxes, commit, found_in, one_class
from tests.specs import model_spec

DETECTION = model_spec({"task": "detection", "classes": list(CLASSES), "output": {"decoder": {"name": "fastestdet"}}})
CLASSIFICATION = model_spec({"classes": list(CLASSES)})
IN_CI = os.environ.get("CI") == "true"


def needed(name: str, *, is_extra: bool = False) -> ModuleType:
    """A library; where it is absent the test is skipped, in continuous integration only if it is no part of ``dev``."""
    try:
        return import_module(name)
    except ImportError:
        if IN_CI and not is_extra:
            raise
        pytest.skip(f"{name} is not installed")


@pytest.fixture(params=["detection", "classification"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a run's row files: two shards, one with a failed image alone."""
    is_boxes = request.param == "detection"
    spec: ModelSpec = DETECTION if is_boxes else CLASSIFICATION
    good = [found_in(name, boxes((1, 2, 3, 4), (5, 6, 7, 8)) if is_boxes else one_class(1)) for name in HOSTILE]
    commit(tmp_path / "run", spec, good, [found_in("bad.jpg", None)])
    return tmp_path / "run" / "data"


def read_pandas(data: Path, tmp_path: Path) -> list[dict[str, Any]]:
    return [dict(row) for _, row in pd.read_parquet(data).sort_values("row_id").iterrows()]


def read_pyarrow(data: Path, tmp_path: Path) -> list[dict[str, Any]]:
    table = ds.dataset(data).to_table().sort_by("row_id")
    assert table.schema.metadata[b"millrace.schema"] == b"1"
    return table.to_pylist()


def read_duckdb(data: Path, tmp_path: Path) -> list[dict[str, Any]]:
    duckdb = needed("duckdb")
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT * FROM '{data}/*.parquet' ORDER BY row_id")
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def read_hugging_face(data: Path, tmp_path: Path) -> list[dict[str, Any]]:
    datasets = needed("datasets")
    datasets.disable_progress_bars()
    files = sorted(map(str, data.glob("*.parquet")))
    found = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    return list(found)


def read_spark(data: Path, tmp_path: Path) -> list[dict[str, Any]]:
    sql = needed("pyspark.sql", is_extra=True)
    session = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        return [row.asDict(recursive=True) for row in session.read.parquet(str(data)).orderBy("row_id").collect()]
    finally:
        session.stop()


@pytest.mark.parametrize("read", [read_pandas, read_pyarrow, read_duckdb, read_hugging_face, read_spark])
def test_rows_are_read(data: Path, tmp_path: Path, read: Callable[[Path, Path], list[dict[str, Any]]]) -> None:
    rows = read(data, tmp_path)
    assert [row["image_id"] for row in rows] == [*HOSTILE, "bad.jpg"]
    assert [row["status"] for row in rows] == ["ok"] * len(HOSTILE) + ["decode_error"]
    assert rows[0]["height"] == 20
    if "objects" in rows[0]:
        found = list(rows[0]["objects"])[1]
        assert (found["label"], found["x_max"]) == (CLASSES[1], 7.0)
    else:
        assert (rows[0]["label"], rows[0]["score"]) == (CLASSES[1], 0.75)
