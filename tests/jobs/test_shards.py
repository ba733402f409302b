from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.shards import (
    LATER_BYTES,
    Shards,
    cut_shards,
    default_rows_per_shard,
    divide,
    merge_runs,
    rows_of_later_shards,
)

CUTS = st.builds(
    lambda num_rows, rows: (num_rows, rows, cut_shards(num_rows, rows_per_shard=rows)),
    st.integers(1, 6000),
    st.integers(1, 300),
)


@given(CUTS)
def test_shards_cover_every_row_exactly_once_in_order(case: tuple[int, int, Shards]) -> None:
    num_rows, rows_per_shard, shards = case
    parts = [shards.rows_of(shard_id) for shard_id in range(len(shards))]
    assert [row for part in parts for row in part] == list(range(num_rows))
    assert all(1 <= len(part) <= rows_per_shard for part in parts)
    assert shards.num_rows == num_rows


@given(CUTS)
def test_shards_survive_json(case: tuple[int, int, Shards]) -> None:
    runs = json.loads(json.dumps(case[2].runs))
    assert Shards(tuple((count, rows) for count, rows in runs)) == case[2]


@given(CUTS)
def test_neighbouring_runs_differ_and_none_is_empty(case: tuple[int, int, Shards]) -> None:
    runs = case[2].runs
    assert all(count > 0 and rows > 0 for count, rows in runs)
    assert all(a[1] != b[1] for a, b in itertools.pairwise(runs))


@pytest.mark.parametrize("shard_id", [-1, 3, 4, 1000])
def test_a_shard_that_does_not_exist_has_no_rows(shard_id: int) -> None:
    shards = Shards(((2, 5), (1, 3)))
    with pytest.raises(IndexError, match=rf"shard_id must be in 0 to 2, got {shard_id}"):
        shards.rows_of(shard_id)


@pytest.mark.parametrize(
    ("num_rows", "rows", "runs"),
    [
        pytest.param(1, 128, ((1, 1),), id="one-row"),
        pytest.param(16, 16, ((1, 16),), id="one-full-shard"),
        pytest.param(17, 16, ((1, 16), (1, 1)), id="a-rest"),
        pytest.param(5, 1, ((5, 1),), id="a-shard-for-each-row"),
        pytest.param(551, 16, ((34, 16), (1, 7)), id="just-too-short-for-small-ends"),
        pytest.param(592, 16, ((8, 2), (32, 16), (16, 4)), id="small-ends"),
        pytest.param(600, 16, ((8, 2), (32, 16), (1, 8), (16, 4)), id="small-ends-and-a-rest"),
        pytest.param(100, 2, ((8, 1), (38, 2), (16, 1)), id="ends-of-one-row"),
    ],
)
def test_cut(num_rows: int, rows: int, runs: tuple[tuple[int, int], ...]) -> None:
    assert cut_shards(num_rows, rows_per_shard=rows).runs == runs


@pytest.mark.parametrize(
    ("num_rows", "rows"),
    [(1, 16), (1024, 16), (2047, 16), (2048, 32), (4095, 32), (4096, 64), (8191, 64), (8192, 128), (10**9, 128)],
)
def test_default_shards_grow_with_the_run_between_two_bounds(num_rows: int, rows: int) -> None:
    assert default_rows_per_shard(num_rows) == rows


def test_a_hundred_million_rows_are_cut_in_a_few_runs() -> None:
    shards = cut_shards(10**8, rows_per_shard=128)
    assert len(shards.runs) <= 4
    assert shards.rows_of(len(shards) - 1).stop == 10**8


@pytest.mark.parametrize(("rows", "expected"), [(4, [(2, 4), (1, 2)]), (5, [(2, 5)]), (11, [(1, 10)])])
def test_divide_leaves_out_what_is_empty(rows: int, expected: list[tuple[int, int]]) -> None:
    assert divide(10, rows) == expected


def test_merge_runs_of_nothing_is_nothing() -> None:
    assert merge_runs([]) == ()


@pytest.mark.parametrize(
    ("image_bytes", "rows"),
    [
        pytest.param(None, 128, id="depends-on-the-image"),
        pytest.param(128 * 128 * 3, 1_024, id="128-px"),
        pytest.param(224 * 224 * 3, 256, id="224-px"),
        pytest.param(640 * 640 * 3, 128, id="640-px"),
        pytest.param(LATER_BYTES // 512, 512, id="just-so"),
        pytest.param(LATER_BYTES // 512 + 1, 256, id="one-byte-more"),
    ],
)
def test_later_shards_hold_as_many_rows_as_pixels_allow(image_bytes: int | None, rows: int) -> None:
    assert rows_of_later_shards(image_bytes) == rows
