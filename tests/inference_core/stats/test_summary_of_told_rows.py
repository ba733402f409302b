"""The summary of rows with every column that a package can ask for: each part of it is found by walking its fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.export.rows import RowBuilder
from inference_core.spec import ModelSpec
from inference_core.stats.summary import Summary
from inference_core.status import STATUSES
from inference_core.verdict import VERDICTS
from tests.specs import model_spec

RULES = {"rules": [{"when": {"height": {"below": 9}}, "verdict": "review"}], "review_size": 3}
ASKED: dict[str, Any] = {"tta": ["hflip", "vflip"], "statistics": "full", "quality": RULES}
PACKAGES: dict[str, dict[str, Any]] = {
    "classification": {**ASKED, "conformal": {"quantile": 0.5}},
    "multilabel": {**ASKED, "task": "multilabel", "output": {"activation": "sigmoid"}},
    "detection": {**ASKED, "task": "detection", "output": {"decoder": {"name": "yolov8"}}},
    "segmentation": {
        **ASKED,
        "task": "segmentation",
        "uncertainty": {"measure": "std"},
        "postprocess": [{"min_area_px": 9}, {"fill_holes": True}],
        "components": {},
    },
    "embedding": {**ASKED, "task": "embedding", "classes": None, "tta": ["hflip"]},
}
SPECS: dict[str, ModelSpec] = {task: model_spec(facts) for task, facts in PACKAGES.items()}
SCHEMAS: dict[str, pa.Schema] = {task: RowBuilder(spec, model_digest="d").schema for task, spec in SPECS.items()}
NUM_CLASSES = 3
FIXED_LISTS: dict[str, list[dict[str, Any]]] = {
    "gains": [{"name": "hflip"}, {"name": "vflip"}],
    "postprocess": [{"name": "min_area_px", "value": 9}, {"name": "fill_holes", "value": None}],
}
"""Lists with an entry for each of these, which say the same in every row."""
TEXTS = {"status": STATUSES, "verdict": VERDICTS, "format": ("jpeg", "png"), "decoder": ("opencv", "pillow")}

MAY_LACK = {"margin", "score_mean", "score_min", "coherence", "boundary_uncertainty", "brightness", "score_std"}
"""Columns that are null in some answers."""

each_task = pytest.mark.parametrize("task", PACKAGES)
seeds = st.integers(0, 2**32 - 1)


def any_value(kind: pa.DataType, name: str, rng: np.random.Generator, *, length: int) -> Any:
    """A value of a column: of its type, within what its name means; lists have one length, as parallel ones do."""
    if pa.types.is_struct(kind):
        return {field.name: any_value(field.type, field.name, rng, length=length) for field in kind}
    if name in FIXED_LISTS:
        entries = [any_value(kind.value_type, "", rng, length=length) for _ in FIXED_LISTS[name]]
        return [{**entry, **same} for entry, same in zip(entries, FIXED_LISTS[name], strict=True)]
    if pa.types.is_list(kind):
        return [any_value(kind.value_type, name, rng, length=length) for _ in range(length)]
    if pa.types.is_string(kind):
        return str(rng.choice(TEXTS.get(name, ("a", "b", "<c>"))))
    if pa.types.is_floating(kind):
        return float(np.float32(rng.choice([rng.random(), 0.0, 1.0], p=[0.8, 0.1, 0.1])))
    if pa.types.is_integer(kind):
        return int(rng.integers(NUM_CLASSES) if name in ("class_id", "class_ids") else rng.integers(1, 1000))
    return b"\0"


def any_row(schema: pa.Schema, rng: np.random.Generator) -> dict[str, Any]:
    """A row; of one that has no answer what may be null is, and some of what an answer may lack."""
    length = int(rng.integers(0, 4))
    row = {field.name: any_value(field.type, field.name, rng, length=length) for field in schema}
    row["status"] = "ok" if rng.random() < 0.7 else row["status"]
    is_failed = row["status"] != "ok"
    for field in schema:
        if field.nullable and (is_failed or (field.name in MAY_LACK and rng.random() < 0.2)):
            row[field.name] = None
    return row


def any_table(task: str, seed: int, *, most: int = 8) -> pa.Table:
    """Up to so many rows."""
    rng = np.random.default_rng(seed)
    rows = [any_row(SCHEMAS[task], rng) for _ in range(rng.integers(0, most + 1))]
    return pa.Table.from_pylist(rows, schema=SCHEMAS[task])


def fold(table: pa.Table, task: str) -> Summary:
    spec = SPECS[task]
    return Summary.of(table, task=spec.task, class_names=spec.classes, review_size=RULES["review_size"])  # type: ignore[arg-type]


def values_of_fields(value: Any) -> Iterator[tuple[str, str]]:
    """Each field of a record and of all records in it, as ``Class.field``, with its value."""
    if is_dataclass(value):
        for field in fields(value):
            yield f"{type(value).__name__}.{field.name}", repr(getattr(value, field.name))
            yield from values_of_fields(getattr(value, field.name))
    elif isinstance(value, Mapping | tuple):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from values_of_fields(part)


SIZES = ((0, 0), (1, 3), (2, 3), (3, 3), (4, 40))
"""Seeds, and how many rows at the most."""
SAME_IN_ALL = {"ReviewQueue.size"}
"""What does not depend on rows."""


def test_every_part_of_a_summary_is_tested_here() -> None:
    summaries = [fold(any_table(task, seed, most=most), task) for task in PACKAGES for seed, most in SIZES]
    values: dict[str, set[str]] = {}
    for name, value in (pair for summary in summaries for pair in values_of_fields(summary)):
        values.setdefault(name, set()).add(value)
    assert {name for name, found in values.items() if len(found) == 1} <= SAME_IN_ALL


@each_task
@given(seeds, seeds, seeds)
@settings(max_examples=8, deadline=None)
def test_shards_merge_to_the_whole_in_any_order_and_grouping(task: str, a: int, b: int, c: int) -> None:
    tables = [any_table(task, seed) for seed in (a, b, c)]
    x, y, z = (fold(table, task) for table in tables)
    whole = fold(pa.concat_tables(tables), task)
    assert x.merge(y).merge(z) == x.merge(y.merge(z)) == z.merge(x).merge(y) == y.merge(z.merge(x)) == whole
    empty = Summary.empty(task=SPECS[task].task, class_names=SPECS[task].classes)
    assert x.merge(empty) == empty.merge(x) == x
    assert whole.to_json() == z.merge(y).merge(x).to_json()


@each_task
@given(seeds)
@settings(max_examples=8, deadline=None)
def test_every_part_comes_back_from_json(task: str, seed: int) -> None:
    summary = fold(any_table(task, seed), task)
    assert Summary.from_json(json.loads(json.dumps(summary.to_json(), allow_nan=False))) == summary


@each_task
def test_a_shard_in_which_all_failed_adds_nothing_but_its_rows(task: str) -> None:
    rng = np.random.default_rng(0)
    rows = [any_row(SCHEMAS[task], rng) for _ in range(5)]
    bare = [{name: row[name] if not SCHEMAS[task].field(name).nullable else None for name in row} for row in rows]
    failed = fold(pa.Table.from_pylist([{**row, "status": "oom"} for row in bare], schema=SCHEMAS[task]), task)
    empty = Summary.empty(task=SPECS[task].task, class_names=SPECS[task].classes)
    changed = {field.name for field in fields(Summary) if getattr(empty, field.name) != getattr(failed, field.name)}
    assert changed <= {"num_rows", "status", "total_bytes", "formats", "decoders", "timings"}
    assert (
        fold(any_table(task, 3, most=20), task).merge(failed).quality == fold(any_table(task, 3, most=20), task).quality
    )
