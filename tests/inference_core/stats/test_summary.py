from __future__ import annotations

import json
import math
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference_core.errors import ShapeError
from inference_core.output_spec import TaskName
from inference_core.stats.summary import Summary, equal_but_timings
from inference_core.status import STATUSES

NAMES = ("cat", "dog", "<script>")
FIND = pa.struct(
    {"class_id": pa.int32(), "label": pa.string(), "pixels": pa.int64(), "frac": pa.float32(), "score": pa.float32()}
)
TOP = pa.struct({"class_id": pa.int32(), "label": pa.string(), "score": pa.float32()})
CORNERS = ("x_min", "y_min", "x_max", "y_max")
OBJECT = pa.struct([*TOP, *(pa.field(name, pa.float32()) for name in CORNERS)])
SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "uri": pa.string(),
        "status": pa.string(),
        "size_bytes": pa.int64(),
        "height": pa.int32(),
        "width": pa.int32(),
        "format": pa.string(),
        "decoder": pa.string(),
        "fetch_ms": pa.float32(),
        "prepare_ms": pa.float32(),
        "infer_ms": pa.float32(),
        "finish_ms": pa.float32(),
        "class_id": pa.int32(),
        "score": pa.float32(),
        "entropy": pa.float32(),
        "classes": pa.list_(FIND),
        "foreground_frac": pa.float32(),
        "class_ids": pa.list_(pa.int32()),
        "scores": pa.list_(pa.float32()),
        "top_k": pa.list_(TOP),
        "objects": pa.list_(OBJECT),
        "num_objects": pa.int32(),
    }
)
TASKS: tuple[TaskName, ...] = get_args(TaskName)

shares = st.floats(0, 1, width=32)
times = st.floats(0, 1000, width=32)
finds = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 10**6), shares), max_size=3)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    row: dict[str, Any] = {
        "image_id": draw(st.text(max_size=4)),
        "uri": draw(st.text(max_size=4)),
        "status": draw(st.sampled_from(STATUSES) | st.just("ok")),
        "size_bytes": draw(st.integers(0, 2**40)),
        "format": draw(st.sampled_from(["jpeg", "png", ""])),
        "decoder": draw(st.sampled_from(["opencv", "pillow", ""])),
    }
    row |= {f"{stage}_ms": draw(times) for stage in ("fetch", "prepare", "infer", "finish")}
    if row["status"] != "ok":
        return row
    found = [{"class_id": class_id, "score": score} for class_id, _, score in draw(finds)]
    shown = dict.fromkeys(entry["class_id"] for entry in found)
    return row | {
        "class_ids": list(shown),
        "scores": [draw(shares) for _ in shown],
        "top_k": [{"class_id": draw(st.integers(0, 2)), "score": 0.5}],
        "objects": found,
        "num_objects": len(found),
        "height": draw(st.integers(1, 10**5)),
        "width": draw(st.integers(1, 10**5)),
        "class_id": draw(st.integers(0, 2)),
        "score": draw(shares | st.just(math.nan)) if found else None,
        "entropy": draw(shares),
        "foreground_frac": draw(shares),
        "classes": [
            {"class_id": class_id, "label": NAMES[class_id], "pixels": pixels, "frac": 0.5, "score": score}
            for class_id, pixels, score in draw(finds)
        ],
    }


tables = st.lists(rows(), max_size=12).map(lambda entries: pa.Table.from_pylist(entries, schema=SCHEMA))
tasks = st.sampled_from(TASKS)


def row(**values: Any) -> pa.Table:
    whole = {"image_id": "a", "uri": "s3://b/a", "status": "ok", "size_bytes": 100, "height": 2, "width": 3}
    whole |= {"format": "png", "decoder": "pillow", "class_id": 1, "score": 0.5, "entropy": 0.25}
    whole |= {"fetch_ms": 1.0, "prepare_ms": 2.0, "infer_ms": 3.0, "finish_ms": 4.0, "foreground_frac": 0.5}
    return pa.Table.from_pylist([whole | values], schema=SCHEMA)


def fold(table: pa.Table, task: TaskName = "classification") -> Summary:
    return Summary.of(table, task=task, class_names=NAMES)


@pytest.mark.parametrize("task", TASKS)
def test_no_rows_are_the_empty_summary(task: TaskName) -> None:
    assert fold(SCHEMA.empty_table(), task) == Summary.empty(task=task, class_names=NAMES)


def test_one_classified_image() -> None:
    summary = fold(row())
    assert (summary.num_rows, summary.status["ok"], summary.total_bytes, summary.total_pixels) == (1, 1, 100, 6)
    assert summary.classes.images == (0, 1, 0)
    assert summary.classes.score_mean(1) == 0.5
    assert summary.moments["entropy"].mean == 0.25
    assert summary.moments["coverage"].count == summary.histograms["coverage"].count == 0
    assert summary.review.entries[0].class_id == 1
    assert summary.timings.stages["infer"].moments.sum == 3.0


def test_one_segmented_image() -> None:
    finds = [
        {"class_id": 0, "label": "cat", "pixels": 6, "frac": 1.0, "score": 0.75},
        {"class_id": 1, "label": "dog", "pixels": 0, "frac": 0.0, "score": 0.0},
    ]
    summary = fold(row(classes=finds), "segmentation")
    assert (summary.classes.images, summary.classes.pixels) == ((1, 0, 0), (6, 0, 0))
    assert summary.classes.score_mean(0) == 0.75
    assert summary.moments["coverage"].mean == 0.5
    assert summary.review.entries[0].class_id == -1


def test_one_image_of_several_labels() -> None:
    shown = {"class_ids": [2, 0], "scores": [0.75, 0.5], "top_k": [{"class_id": 2, "score": 0.75}], "score": 0.75}
    summary = fold(row(**shown), "multilabel")
    assert (summary.classes.images, summary.classes.objects) == ((1, 0, 1), (0, 0, 0))
    assert (summary.classes.score_mean(0), summary.classes.score_mean(1)) == (0.5, None)
    assert summary.review.entries[0].class_id == 2
    assert summary.moments["entropy"].count == 0


def test_an_image_that_shows_no_class_has_a_score_all_the_same() -> None:
    shown = {"class_ids": [], "scores": [], "top_k": [{"class_id": 1, "score": 0.125}], "score": 0.125}
    summary = fold(row(**shown), "multilabel")
    assert not any(summary.classes.images)
    assert (summary.moments["score"].mean, summary.review.entries[0].class_id) == (0.125, 1)


def test_images_with_and_without_objects() -> None:
    objects = [{"class_id": k, "score": score} for k, score in ((1, 0.75), (2, 0.5), (1, 0.25))]
    found = row(objects=objects, num_objects=3, score=0.75)
    summary = fold(pa.concat_tables([found, row(objects=[], num_objects=0, score=None), found]), "detection")
    assert (summary.classes.images, summary.classes.objects) == ((0, 2, 2), (0, 4, 2))
    assert summary.classes.score_mean(1) == 0.75  # of the best object in each image
    objects_per_image = summary.moments["num_objects"]
    assert (objects_per_image.mean, objects_per_image.minimum, objects_per_image.maximum) == (2, 0, 3)
    assert (summary.moments["score"].count, summary.moments["score"].num_not_finite) == (2, 0)
    assert [entry.class_id for entry in summary.review.entries] == [1, 1]


def test_embeddings_have_neither_classes_nor_scores() -> None:
    summary = Summary.of(row(), task="embedding", class_names=())
    assert (summary.num_rows, summary.moments["score"].count, summary.review.entries) == (1, 0, ())
    assert summary.moments["height"].mean == 2
    assert Summary.from_json(summary.to_json()) == summary


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("status", STATUSES[1:])
def test_a_failed_image_counts_by_status_and_nowhere_else(task: TaskName, status: str) -> None:
    nothing = dict.fromkeys(
        ["height", "width", "class_id", "score", "entropy", "classes", "foreground_frac", "objects", "class_ids"]
    )
    summary = fold(row(status=status, **nothing), task)
    assert summary.status == {**dict.fromkeys(STATUSES, 0), status: 1}
    assert (summary.total_bytes, summary.total_pixels) == (100, 0)
    assert not any(part.count for part in summary.moments.values())
    assert not summary.review.entries
    assert not any(summary.classes.images)


def test_statistics_agree_with_pandas() -> None:
    rng = np.random.default_rng(0)
    size = 2000
    table = pa.concat_tables([row()] * size)
    for name, values in {
        "score": rng.random(size).astype(np.float32),
        "height": rng.integers(1, 5000, size).astype(np.int32),
        "size_bytes": rng.integers(1, 10**7, size),
        "class_id": rng.integers(0, 3, size).astype(np.int32),
        "image_id": np.char.mod("%05d", np.arange(size)),
    }.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    summary, frame = fold(table), table.to_pandas()
    for name in ("score", "height", "size_bytes"):
        column = frame[name].astype("float64")
        assert summary.moments[name].mean == pytest.approx(column.mean(), rel=1e-9)
        assert summary.moments[name].std == pytest.approx(column.std(ddof=0), rel=1e-9)
        assert (summary.moments[name].minimum, summary.moments[name].maximum) == (column.min(), column.max())
    assert summary.total_bytes == frame["size_bytes"].sum()
    assert summary.total_pixels == (frame["height"].astype("int64") * frame["width"]).sum()
    assert summary.classes.images == tuple(frame["class_id"].value_counts().sort_index())
    lowest = frame.sort_values(["score", "image_id"])["image_id"].head(50).tolist()
    assert [entry.image_id for entry in summary.review.entries] == lowest


def test_text_columns_may_be_dictionary_encoded() -> None:
    table = pa.concat_tables([row(), row(status="oom")])
    encoded = table.set_column(2, "status", table["status"].dictionary_encode())
    assert fold(encoded) == fold(table)


@given(tables, tables, tasks)
def test_merge_of_folds_is_the_fold_of_both(a: pa.Table, b: pa.Table, task: TaskName) -> None:
    assert fold(a, task).merge(fold(b, task)) == fold(pa.concat_tables([a, b]), task)


@given(tables, tables, tables, tasks)
@settings(max_examples=50)
def test_merge_is_an_exact_commutative_monoid(a: pa.Table, b: pa.Table, c: pa.Table, task: TaskName) -> None:
    x, y, z = (fold(table, task) for table in (a, b, c))
    assert x.merge(y) == y.merge(x)
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(Summary.empty(task=task, class_names=NAMES)) == x


@given(tables, tables, tasks)
@settings(max_examples=50)
def test_equal_summaries_have_equal_text(a: pa.Table, b: pa.Table, task: TaskName) -> None:
    merged, whole = fold(b, task).merge(fold(a, task)), fold(pa.concat_tables([a, b]), task)
    assert json.dumps(merged.to_json(), sort_keys=True) == json.dumps(whole.to_json(), sort_keys=True)


@given(tables, tasks)
def test_json_round_trip_is_exact(table: pa.Table, task: TaskName) -> None:
    summary = fold(table, task)
    assert Summary.from_json(json.loads(json.dumps(summary.to_json(), allow_nan=False))) == summary


def test_only_the_times_are_left_out_of_the_comparison() -> None:
    first, slower, other = fold(row()), fold(row(infer_ms=9.0)), fold(row(score=0.25))
    assert first != slower
    assert equal_but_timings(first, slower)
    assert not equal_but_timings(first, other)


def test_the_json_form_does_not_grow_with_the_rows() -> None:
    rng = np.random.default_rng(0)

    def summary_of(size: int) -> Summary:
        table = pa.concat_tables([row()] * size)
        for name in ("score", "entropy", "fetch_ms", "prepare_ms", "infer_ms", "finish_ms"):
            column = pa.array(rng.lognormal(-1, 1, size).astype(np.float32))
            table = table.set_column(table.column_names.index(name), name, column)
        return fold(table)

    small, large = summary_of(10), summary_of(10_000)
    billions = large
    for _ in range(20):
        billions = billions.merge(billions)
    lengths = [len(json.dumps(summary.to_json())) for summary in (small, large, billions)]
    assert billions.num_rows > 10**10
    assert max(lengths) < 45_000  # 10,000 rows are megabytes
    assert lengths[2] < 2 * lengths[1]  # digits only


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ShapeError, match=r"table must have the columns .*, got none named score, infer_ms"):
        fold(row().drop_columns(["score", "infer_ms"]))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param(row(status="perhaps"), "status must be one of ok, .*, got perhaps", id="unknown-status"),
        pytest.param(row(class_id=3), r"class_id must be in \[0, 3\), got 3", id="unknown-class"),
        pytest.param(row(class_id=None), "class_id must be set in rows with status ok, got null", id="no-class"),
    ],
)
def test_a_damaged_row_is_refused(table: pa.Table, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fold(table)


@pytest.mark.parametrize(
    ("task", "names"), [("classification", ("cat",)), ("segmentation", NAMES)], ids=["classes", "task"]
)
def test_summaries_of_different_models_do_not_merge(task: TaskName, names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="task and class_names must be equal to be merged"):
        fold(row()).merge(Summary.empty(task=task, class_names=names))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"schema": 1}, "summary.schema must be 3, got 1", id="schema"),
        pytest.param({"num_rows": 2}, "status must sum to 2 rows, got 1", id="sum"),
        pytest.param({"class_names": ["cat"]}, "classes must have 1 entries, got 3", id="classes"),
        pytest.param({"task": "poetry"}, "summary.task: ", id="task"),
        pytest.param({"moments": {}}, "moments must be of score, entropy", id="moments"),
        pytest.param({"status": {"ok": 1}}, "status must be one of ok, .*, got crashed", id="statuses"),
        pytest.param({"more": 1}, "summary.more: ", id="unknown-key"),
    ],
)
def test_a_damaged_record_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Summary.from_json(fold(row()).to_json() | change)


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"summary\.schema must be 3, got None; read it with the version that wrote it"
    ):
        Summary.from_json([])
