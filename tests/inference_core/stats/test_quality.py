from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.json_record import json_from_record, record_from_json
from inference_core.stats.quality import QualityStats, QueuedImage
from inference_core.verdict import VERDICTS

SIZE = 4
TOP = pa.struct([("class_id", pa.int32())])
SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "uri": pa.string(),
        "verdict": pa.string(),
        "reasons": pa.list_(pa.string()),
        "priority": pa.float32(),
        "score": pa.float32(),
        "class_id": pa.int32(),
        "objects": pa.list_(TOP),
        "margin": pa.float32(),
        "num_regions": pa.int64(),
    }
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "image_id": st.text(max_size=2),
            "uri": st.just("s3://b/x"),
            "verdict": st.sampled_from(VERDICTS),
            "reasons": st.lists(st.sampled_from(["dim", "close", "=x"]), unique=True, max_size=2),
            # Few values, so that many are equal.
            "priority": st.sampled_from([0.0, 0.25, 0.5]) | st.floats(0, 1, width=32),
            "score": st.none() | st.floats(0, 1, width=32),
            "class_id": st.integers(0, 2),
            "objects": st.just([]),
            "margin": st.none() | st.floats(0, 1, width=32),
        }
    ),
    max_size=12,
)


def fold(rows: list[Any], size: int = SIZE) -> QualityStats:
    return QualityStats.of(pa.Table.from_pylist(rows, schema=SCHEMA), task="classification", size=size)


def row(**values: Any) -> dict[str, Any]:
    plain = {"image_id": "a", "uri": "u", "verdict": "review", "reasons": [], "priority": 0.5, "score": 0.5}
    return {**plain, "class_id": 0, **values}


def ids(stats: QualityStats) -> list[str]:
    return [image.image_id for image in stats.queue]


def test_no_rows_are_the_empty_statistics() -> None:
    assert fold([]) == QualityStats()


def test_rows_without_verdicts_have_no_queue() -> None:
    table = pa.table({"image_id": ["a"], "margin": pa.array([0.5], pa.float32())})
    stats = QualityStats.of(table, task="classification", size=SIZE)
    assert (stats.size, stats.verdicts, stats.queue) == (0, {}, ())
    assert stats.quantities["margin"].mean == 0.5


def test_only_numbers_of_the_task_are_summed_up() -> None:
    assert set(fold([row(margin=0.5, num_regions=3)]).quantities) == {"margin"}


def test_what_is_to_be_reviewed_comes_before_what_is_rejected_and_the_accepted_never() -> None:
    rows = [
        row(image_id="rejected", verdict="reject", priority=1.0),
        row(image_id="low", priority=0.1),
        row(image_id="accepted", verdict="accept", priority=1.0),
        row(image_id="high", priority=0.9),
    ]
    assert ids(fold(rows)) == ["high", "low", "rejected"]
    assert ids(fold(rows, size=2)) == ["high", "low"]


def test_equal_priorities_are_ordered_by_image_id() -> None:
    rows = [row(image_id=f"{index:03d}") for index in range(50)]
    assert ids(fold(rows[::-1])) == ["000", "001", "002", "003"]


def test_an_entry_tells_what_a_person_needs() -> None:
    one = row(reasons=["dim", "close"], score=0.25, class_id=2)
    expected = QueuedImage(
        verdict="review", priority=0.5, image_id="a", uri="u", reasons=("dim", "close"), score=0.25, class_id=2
    )
    assert fold([one]).queue == (expected,)


def test_an_image_without_objects_has_neither_score_nor_class() -> None:
    table = pa.Table.from_pylist([row(objects=[], score=None), row(objects=[{"class_id": 2}])], schema=SCHEMA)
    found = QualityStats.of(table, task="detection", size=SIZE).queue
    assert [(image.score, image.class_id) for image in found] == [(None, -1), (0.5, 2)]


@given(ROWS)
def test_counts_are_pythons(rows: list[Any]) -> None:
    stats = fold(rows)
    verdicts = [one["verdict"] for one in rows]
    assert stats.verdicts == ({name: verdicts.count(name) for name in VERDICTS} if rows else {})
    reasons = [reason for one in rows for reason in one["reasons"]]
    assert stats.reasons == {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    margins = [one["margin"] for one in rows if one["margin"] is not None]
    if margins:
        assert stats.quantities["margin"].mean == pytest.approx(np.mean(margins), abs=1e-6)
    wanted = sorted(
        (one["verdict"] == "reject", -one["priority"], one["image_id"]) for one in rows if one["verdict"] != "accept"
    )
    assert [(i.verdict == "reject", -i.priority, i.image_id) for i in stats.queue] == wanted[:SIZE]


@given(ROWS, ROWS, ROWS)
def test_merging_is_folding_all_at_once_in_any_order(a: list[Any], b: list[Any], c: list[Any]) -> None:
    one, two, three = fold(a), fold(b), fold(c)
    whole = fold([*a, *b, *c])
    assert one.merge(two).merge(three) == one.merge(two.merge(three)) == three.merge(one).merge(two) == whole
    assert one.merge(QualityStats()) == QualityStats().merge(one) == one


@given(ROWS)
def test_it_comes_back_from_json(rows: list[Any]) -> None:
    stats = fold(rows)
    assert record_from_json(QualityStats, json_from_record(stats), name="quality") == stats


def test_queues_of_other_sizes_are_not_merged() -> None:
    with pytest.raises(ValueError, match="size must be 4 to be merged, got 5; sum up one model only"):
        fold([row()]).merge(fold([row()], size=5))


def test_a_queue_out_of_order_or_too_long_is_refused() -> None:
    stats = fold([row(priority=0.1), row(priority=0.2)])
    with pytest.raises(ValueError, match="queue must be at most 4 images in order, got 2"):
        QualityStats(size=4, queue=stats.queue[::-1])
    with pytest.raises(ValueError, match="queue must be at most 1 images in order, got 2"):
        QualityStats(size=1, queue=stats.queue)
