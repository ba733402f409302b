from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.forwards import ForwardStats
from inference_core.stats.json_record import json_from_record, record_from_json
from inference_core.tasks.enhanced import GAIN_FIELD

FRACS = st.floats(0, 1, width=32)
SCHEMA = pa.schema(
    [pa.field("mutual_information", pa.float32()), pa.field("prediction_set", pa.list_(pa.int32())), GAIN_FIELD]
)
rows = st.lists(st.tuples(FRACS, st.lists(st.integers(0, 9), max_size=4), FRACS, FRACS), max_size=8)


def table_of(entries: list[Any]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "mutual_information": information,
                "prediction_set": members,
                "gains": [
                    {"name": "hflip", "changed_frac": changed, "score_shift": shift},
                    {"name": "rot90", "changed_frac": 0.0, "score_shift": 1.0},
                ],
            }
            for information, members, changed, shift in entries
        ],
        schema=SCHEMA,
    )


@given(rows)
def test_figures_are_numpys(entries: list[Any]) -> None:
    stats = ForwardStats.of(table_of(entries))
    if not entries:
        assert stats == ForwardStats()
        return
    information, sets, changed, shifts = zip(*entries, strict=True)
    assert [gain.name for gain in stats.gains] == ["hflip", "rot90"]
    assert stats.gains[0].changed_frac.mean == pytest.approx(np.mean(changed), abs=1e-6)
    assert stats.gains[0].score_shift.mean == pytest.approx(np.mean(shifts), abs=1e-6)
    assert (stats.gains[1].changed_frac.mean, stats.gains[1].score_shift.mean) == (0, 1)
    assert stats.quantities["mutual_information"].mean == pytest.approx(np.mean(information), abs=1e-6)
    assert stats.quantities["set_size"].total == sum(map(len, sets))


@given(rows, rows, rows)
def test_merging_is_folding_all_at_once_in_any_order(a: list[Any], b: list[Any], c: list[Any]) -> None:
    one, two, three = (ForwardStats.of(table_of(entries)) for entries in (a, b, c))
    whole = ForwardStats.of(table_of([*a, *b, *c]))
    assert one.merge(two).merge(three) == one.merge(two.merge(three)) == three.merge(one).merge(two) == whole
    assert one.merge(ForwardStats()) == ForwardStats().merge(one) == one


@given(rows)
def test_it_comes_back_from_json(entries: list[Any]) -> None:
    stats = ForwardStats.of(table_of(entries))
    assert record_from_json(ForwardStats, json_from_record(stats), name="forwards") == stats


def test_rows_of_one_forward_tell_nothing() -> None:
    assert ForwardStats.of(pa.table({"score": [0.5]})) == ForwardStats()


def test_other_views_are_not_merged() -> None:
    one = ForwardStats.of(table_of([(0.1, [], 0.5, 0.5)]))
    gains = [{"name": "vflip", "changed_frac": 0.0, "score_shift": 0.0}]
    other = ForwardStats.of(pa.Table.from_pylist([{"gains": gains}], schema=pa.schema([GAIN_FIELD])))
    with pytest.raises(ValueError, match="name must be equal to be merged, got hflip and vflip"):
        one.merge(other)
