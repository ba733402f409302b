from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from inference_core.export.rows import COMMON_FIELDS, TIME_FIELDS, RowBuilder, row_of, row_schema, rows_table
from inference_core.items import Prediction, StageMs
from inference_core.records import SourceFacts
from inference_core.results import Classification, Result, Segmentation
from inference_core.spec import ModelSpec
from inference_core.tasks.build import build_task
from tests.specs import model_spec

SOURCE = SourceFacts(
    image_id="a/b.jpg",
    uri="file:///in/a/b.jpg",
    size_bytes=123,
    sha256="ab",
    format="jpeg",
    decoder="opencv",
    orientation=6,
    page=1,
    num_pages=3,
    image_hw=(20, 30),
)
CLASSES = Classification(
    class_ids=np.array([2, 0], np.int32),
    scores=np.array([0.75, 0.25], np.float32),
    labels=("blue", "red"),
    entropy=0.5,
)
MASK = Segmentation(
    mask=np.array([[0, 1]], np.uint8),
    scores=np.array([[0, 255]], np.uint8),
    class_pixels=np.array([1, 1, 0]),
    class_scores=np.array([1, 1, 0], np.float32),
    labels=("red", "green", "blue"),
)
SEGMENTATION = model_spec({"task": "segmentation"})
BOTH_TASKS = pytest.mark.parametrize(
    ("spec", "result"),
    [pytest.param(model_spec(), CLASSES, id="classification"), pytest.param(SEGMENTATION, MASK, id="segmentation")],
)


def schema_of(spec: ModelSpec) -> pa.Schema:
    return row_schema(spec.task, build_task(spec).result_fields, model_digest="d" * 64)


@BOTH_TASKS
def test_a_row_has_exactly_the_columns_of_its_schema(spec: ModelSpec, result: Result) -> None:
    times = StageMs(fetch=1, prepare=2, infer=3, finish=4)
    prediction = Prediction(source=SOURCE, status="ok", result=result, stage_ms=times)
    row = row_of(prediction, build_task(spec), row_id=7)
    schema = schema_of(spec)
    assert list(row) == schema.names
    (back,) = rows_table([row], schema=schema).to_pylist()
    assert back == row
    assert (back["row_id"], back["image_id"], back["height"], back["width"]) == (7, "a/b.jpg", 20, 30)
    assert [back[f"{verb}_ms"] for verb in ("fetch", "prepare", "infer", "finish")] == [1, 2, 3, 4]


@BOTH_TASKS
def test_a_failed_row_has_nulls_where_the_result_would_be(spec: ModelSpec, result: Result) -> None:
    task = build_task(spec)
    source = SourceFacts(image_id="a", uri="file:///a")
    failed = row_of(Prediction(source=source, status="decode_error", error="broken"), task, row_id=0)
    good = row_of(Prediction(source=SOURCE, status="ok", result=result), task, row_id=1)
    table = rows_table([failed, good], schema=schema_of(spec))
    first = table.to_pylist()[0]
    assert (first["status"], first["error"], first["height"], first["sha256"]) == ("decode_error", "broken", 0, "")
    assert {first[field.name] for field in task.result_fields} == {None}
    table.validate(full=True)
    whole = [field.name for field in (*COMMON_FIELDS, *TIME_FIELDS) if not field.nullable]
    assert all(table[name].null_count == 0 for name in whole)


def test_no_rows_make_an_empty_table_of_the_schema() -> None:
    table = rows_table([], schema=schema_of(SEGMENTATION))
    assert table.num_rows == 0
    assert table.schema.equals(schema_of(SEGMENTATION), check_metadata=True)


def test_the_schema_says_what_made_it() -> None:
    schema = schema_of(SEGMENTATION)
    assert schema.metadata == {
        b"millrace.schema": b"1",
        b"millrace.task": b"segmentation",
        b"millrace.model_digest": b"d" * 64,
    }
    names = schema.names
    assert names[0] == "row_id"
    assert names[: len(COMMON_FIELDS)] == [field.name for field in COMMON_FIELDS]
    assert names[-len(TIME_FIELDS) :] == [field.name for field in TIME_FIELDS]


def test_a_table_of_nested_values_keeps_their_types() -> None:
    row = row_of(Prediction(source=SOURCE, status="ok", result=CLASSES), build_task(model_spec()), row_id=0)
    table = rows_table([row], schema=schema_of(model_spec()))
    assert table["top_k"].to_pylist() == [
        [{"class_id": 2, "label": "blue", "score": 0.75}, {"class_id": 0, "label": "red", "score": 0.25}]
    ]
    assert table.schema.field("score").type == pa.float32()


@BOTH_TASKS
def test_a_builder_makes_rows_and_tables_of_one_model(spec: ModelSpec, result: Result) -> None:
    builder = RowBuilder(spec, model_digest="d" * 64)
    prediction = Prediction(source=SOURCE, status="ok", result=result)
    row = builder.row(prediction, row_id=3)
    assert row == row_of(prediction, build_task(spec), row_id=3)
    table = builder.table([row])
    assert table.schema.equals(schema_of(spec), check_metadata=True)
    assert table.to_pylist() == [row]
