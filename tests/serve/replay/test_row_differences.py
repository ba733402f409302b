from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference_core.errors import ShapeError
from inference_core.export.rows import row_schema
from serve.replay.given import Given
from serve.replay.row_differences import compared_columns, gaps, row_differences
from serve.replay.rows_of_run import RunRow

OBJECT = pa.struct([pa.field("label", pa.string()), pa.field("score", pa.float32())])
SCHEMA = row_schema(
    "detection",
    [pa.field("score", pa.float32()), pa.field("objects", pa.list_(OBJECT)), pa.field("mask_path", pa.string())],
    model_digest="d",
)


def values(**changes: Any) -> dict[str, Any]:
    """A row as a service gives it."""
    found = {
        **{"row_id": 0, "image_id": "a.jpg", "uri": "", "status": "ok", "error": "", "size_bytes": 3, "sha256": "x"},
        **{"format": "jpeg", "decoder": "opencv", "orientation": 1, "page": 0, "num_pages": 1, "height": 2, "width": 3},
        **{"frame_index": None, "time_s": None, "reused_from": None, "score": 0.25, "mask_path": None},
        **{"objects": [{"label": "cat", "score": 0.1}], "fetch_ms": 1, "prepare_ms": 2, "infer_ms": 3, "finish_ms": 4},
    }
    return found | changes


def stored(mask_png: bytes | None = None, **changes: Any) -> RunRow:
    """The same as a run has it: its floats have 32 bits."""
    table = pa.Table.from_pylist([values(row_id=7, uri="file:///a.jpg", **changes)], schema=SCHEMA)
    return RunRow(values=table.to_pylist()[0], schema=SCHEMA, image=b"jpg", mask_png=mask_png)


def png(*pixels: list[int]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def test_all_but_names_places_and_times_is_compared() -> None:
    assert compared_columns(SCHEMA) == [
        *("status", "error", "size_bytes", "sha256", "format", "decoder", "orientation", "page", "num_pages"),
        *("height", "width", "score", "objects"),
    ]


def test_the_same_answer_has_no_differences() -> None:
    given = values(row_id=0, image_id="7", uri="", mask_path="masks/b.png", reused_from="r", infer_ms=99.0)
    assert row_differences(stored(), Given(values=given)) == []


@pytest.mark.parametrize(
    ("changes", "column", "size"),
    [
        pytest.param({"status": "decode_error"}, "status", math.inf, id="status"),
        pytest.param({"error": "cut off"}, "error", math.inf, id="error"),
        pytest.param({"width": 4}, "width", math.inf, id="a-whole-number"),
        pytest.param({"score": 0.5}, "score", 0.25, id="a-float"),
        pytest.param({"score": 0.25 + 2**-25}, "score", 2**-25, id="the-last-bit"),
        pytest.param({"score": None}, "score", math.inf, id="null"),
        pytest.param({"score": math.nan}, "score", math.inf, id="not-a-number"),
        pytest.param({"objects": []}, "objects", math.inf, id="an-empty-list"),
        pytest.param({"objects": None}, "objects", math.inf, id="no-list"),
        pytest.param({"objects": [{"label": "dog", "score": 0.1}]}, "objects", math.inf, id="a-name-within"),
        pytest.param({"objects": [{"label": "cat", "score": 0.6}]}, "objects", 0.5, id="a-float-within"),
    ],
)
def test_a_column_that_differs_is_named_with_its_size(changes: dict[str, Any], column: str, size: float) -> None:
    (found,) = row_differences(stored(), Given(values=values(**changes)))
    assert found.column == column
    assert found.size == pytest.approx(size, rel=1e-6)


def test_the_tolerance_is_for_numbers_with_a_fraction_alone() -> None:
    given = Given(values=values(score=0.5, width=4))
    assert [entry.column for entry in row_differences(stored(), given, tolerance=0.25)] == ["width"]
    assert [entry.column for entry in row_differences(stored(), given, tolerance=0.24)] == ["width", "score"]


def test_a_column_that_is_absent_is_null() -> None:
    given = values()
    del given["score"], given["objects"]
    assert [entry.column for entry in row_differences(stored(), Given(values=given))] == ["score", "objects"]
    assert row_differences(stored(score=None, objects=None), Given(values=given)) == []


def test_of_an_error_only_what_is_told_is_compared() -> None:
    row = stored(status="decode_error", error="cut off", score=None, objects=None)
    told = {"status": "decode_error", "error": "cut off"}
    assert row_differences(row, Given(values=told, is_whole=False)) == []
    assert [entry.column for entry in row_differences(row, Given(values=told | {"error": "b"}, is_whole=False))] == [
        "error"
    ]


def test_columns_of_another_kind_are_refused() -> None:
    with pytest.raises(ShapeError, match="ask the same model"):
        row_differences(stored(), Given(values=values(score="high")))


@pytest.mark.parametrize(
    ("own", "other", "columns"),
    [
        pytest.param(png([0, 1]), png([0, 1]), [], id="equal"),
        pytest.param(png([0, 1]), png([0, 2]), ["mask"], id="a-pixel"),
        pytest.param(png([0, 1]), png([0, 1], [0, 1]), ["mask"], id="a-size"),
        pytest.param(png([0, 1]), None, ["mask"], id="none"),
        pytest.param(None, png([0, 1]), [], id="the-run-wrote-none"),
    ],
)
def test_masks_are_compared_by_their_pixels(own: bytes | None, other: bytes | None, columns: list[str]) -> None:
    found = row_differences(stored(own), Given(values=values(), mask_png=other))
    assert [entry.column for entry in found] == columns


def test_the_same_pixels_in_another_file_are_the_same_mask() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0, 1]], np.uint8)).save(buffer, format="PNG", compress_level=0)
    assert buffer.getvalue() != png([0, 1])
    assert row_differences(stored(png([0, 1])), Given(values=values(), mask_png=buffer.getvalue())) == []


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_equals_itself(value: Any) -> None:
    assert max(gaps(value, value), default=0.0) == 0.0


@given(VALUES, VALUES)
def test_it_does_not_matter_which_is_which(one: Any, other: Any) -> None:
    assert max(gaps(one, other), default=0.0) == max(gaps(other, one), default=0.0)
