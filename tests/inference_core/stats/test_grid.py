from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.grid import (
    MIN_SIDE_PX,
    NUM_COLUMNS,
    NUM_ROWS,
    Axis,
    Grid,
    area_bins,
    column_edges,
    merge_grids,
    uncertainty_grids,
)
from inference_core.stats.json_record import json_from_record, record_from_json

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=30)
SCHEMA = pa.schema(
    {
        "height": pa.int32(),
        "width": pa.int32(),
        "entropy": pa.float32(),
        "score": pa.float32(),
        "uncertainty": pa.float32(),
        "margin": pa.float32(),
        "brightness": pa.float32(),
    }
)


def grid_of(pairs: list[tuple[float, float]], axis: Axis = "brightness") -> Grid:
    values = np.array(pairs, np.float64).reshape(-1, 2)
    return Grid.of(axis, values[:, 0], values[:, 1])


def rows(count: int, *, without: tuple[str, ...] = (), **values: Any) -> pa.Table:
    plain = {"height": 64, "width": 64, "entropy": 0.25, "score": 0.75, "uncertainty": 0.5, "margin": 0.1}
    return pa.Table.from_pylist([{**plain, "brightness": 0.5, **values}] * count, schema=SCHEMA).drop_columns(
        list(without)
    )


@pytest.mark.parametrize("axis", ["size", "brightness"])
def test_no_values_are_no_cells(axis: Axis) -> None:
    assert grid_of([], axis).cells == ()
    assert grid_of([], axis).dense().shape == (NUM_COLUMNS[axis], NUM_ROWS)


def test_values_count_where_they_lie_and_beyond_the_ends_in_the_last_bins() -> None:
    counts = grid_of([(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (7.0, -3.0)]).dense()
    assert [tuple(cell) for cell in np.argwhere(counts)] == [(0, 0), (16, 16), (31, 0), (31, 31)]
    assert counts.sum() == 4


def test_what_is_not_finite_is_left_out() -> None:
    assert grid_of([(np.nan, 0.5), (0.5, np.inf), (0.5, 0.5)]).count == 1


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_an_area_lies_between_the_edges_of_its_column(height: int, width: int) -> None:
    column = int(area_bins(np.array([height * width], np.float64), NUM_COLUMNS["size"])[0])
    edges = column_edges("size")
    side = np.clip((height * width) ** 0.5, MIN_SIDE_PX, edges[-1] * (1 - 1e-12))
    assert edges[column] * (1 - 1e-12) <= side < edges[column + 1] * (1 + 1e-12)


def test_an_empty_image_lies_in_the_first_column() -> None:
    assert area_bins(np.array([0.0, 1.0]), 40).tolist() == [0, 0]


@given(PAIRS)
def test_counts_are_numpys(pairs: list[tuple[float, float]]) -> None:
    values = np.array(pairs, np.float64).reshape(-1, 2)
    expected = np.histogram2d(values[:, 0], values[:, 1], bins=32, range=[[0, 1], [0, 1]])[0]
    np.testing.assert_array_equal(grid_of(pairs).dense(), expected)


@given(PAIRS, PAIRS, PAIRS)
def test_merging_is_folding_together(a: Any, b: Any, c: Any) -> None:
    whole = grid_of([*a, *b, *c])
    assert grid_of(a).merge(grid_of(b)).merge(grid_of(c)) == whole
    assert grid_of(c).merge(grid_of(a).merge(grid_of(b))) == whole


@given(PAIRS)
def test_json_gives_it_back(pairs: Any) -> None:
    data = json.loads(json.dumps(json_from_record(grid_of(pairs))))
    assert record_from_json(Grid, data, name="grid") == grid_of(pairs)


@pytest.mark.parametrize("cells", [[[5, 1], [5, 1]], [[1024, 1]], [[-1, 1]]], ids=["twice", "beyond", "negative"])
def test_a_damaged_record_is_refused(cells: Any) -> None:
    with pytest.raises(ValueError, match=r"^grid"):
        record_from_json(Grid, {"axis": "brightness", "cells": cells}, name="grid")


def test_other_properties_are_not_merged() -> None:
    with pytest.raises(ValueError, match="axis must be size to be merged, got brightness; merge those of one property"):
        grid_of([], "size").merge(grid_of([]))


@pytest.mark.parametrize(
    ("task", "uncertainty"), [("classification", 0.25), ("detection", 0.25), ("segmentation", 0.5)]
)
def test_each_task_has_its_uncertainty(task: Any, uncertainty: float) -> None:
    asked = {"detection": "score_mean", "segmentation": "score_p50"}.get(task, "margin")
    table = rows(3).append_column(asked, pa.array([0.5] * 3)) if asked != "margin" else rows(3)
    grids = uncertainty_grids(table, task=task)
    assert set(grids) == {"size", "brightness"}
    for grid in grids.values():
        ((_, row),) = np.argwhere(grid.dense())
        assert (row / NUM_ROWS, grid.count) == (uncertainty, 3)
    assert column_edges("size")[np.argwhere(grids["size"].dense())[0, 0]] == 64


@pytest.mark.parametrize(
    ("without", "names"),
    [((), {"size", "brightness"}), (("brightness",), {"size"}), (("brightness", "margin"), set())],
    ids=["statistics", "without the image's", "nothing asked"],
)
def test_only_statistics_bring_them(without: tuple[str, ...], names: set[str]) -> None:
    assert set(uncertainty_grids(rows(2, without=without), task="classification")) == names


def test_no_rows_and_embeddings_have_none() -> None:
    assert uncertainty_grids(rows(0), task="classification") == {}
    assert uncertainty_grids(rows(1), task="embedding") == {}


def test_a_shard_without_answers_changes_nothing() -> None:
    grids = uncertainty_grids(rows(2), task="classification")
    assert merge_grids(grids, {}) == merge_grids({}, grids) == grids
