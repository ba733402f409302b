"""A small run of each task, with names that attack whoever shows them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from inference_core.output_spec import TaskName
from inference_core.quality.columns import VERDICT_FIELDS
from inference_core.stats.summary import Summary
from jobs.report.facts import ErrorRow, RunFacts

SCRIPT = "<script>alert(1)</script>"
HOSTILE_ID = "=a\"b'c\nd\u202egpj.exe"
NAMES = ("cat", SCRIPT, "dog")

FIND = pa.struct({"class_id": pa.int32(), "label": pa.string(), "pixels": pa.int64(), "score": pa.float32()})
SCHEMA = pa.schema(
    {
        **dict.fromkeys(("image_id", "uri", "status", "format", "decoder"), pa.string()),
        **dict.fromkeys(("size_bytes",), pa.int64()),
        **dict.fromkeys(("height", "width", "class_id"), pa.int32()),
        **dict.fromkeys(("score", "entropy", "foreground_frac"), pa.float32()),
        **dict.fromkeys(("fetch_ms", "prepare_ms", "infer_ms", "finish_ms"), pa.float32()),
        "classes": pa.list_(FIND),
        "objects": pa.list_(FIND),
        "num_objects": pa.int32(),
        "class_ids": pa.list_(pa.int32()),
        "scores": pa.list_(pa.float32()),
        "top_k": pa.list_(FIND),
    }
)


def ok_row(image_id: str, class_id: int, score: float, *, infer_ms: float = 2.0) -> dict[str, Any]:
    other = (class_id + 1) % len(NAMES)
    return {
        "image_id": image_id,
        "uri": f"s3://bucket/{image_id}",
        "status": "ok",
        "format": "jpeg",
        "decoder": "opencv",
        "size_bytes": 1000,
        "height": 10,
        "width": 20,
        "class_id": class_id,
        "score": score,
        "entropy": 1 - score,
        "foreground_frac": 0.25,
        "fetch_ms": 4.0,
        "prepare_ms": 3.0,
        "infer_ms": infer_ms,
        "finish_ms": 1.0,
        "classes": [
            {"class_id": class_id, "label": NAMES[class_id], "pixels": 150, "score": score},
            {"class_id": other, "label": NAMES[other], "pixels": 50, "score": 0.5},
        ],
        "objects": [{"class_id": class_id, "score": score}, {"class_id": class_id, "score": 0.125}],
        "num_objects": 2,
        "class_ids": [class_id],
        "scores": [score],
        "top_k": [{"class_id": class_id, "score": score}],
    }


def failed_row(image_id: str, status: str) -> dict[str, Any]:
    return {"image_id": image_id, "uri": "", "status": status, "format": "", "decoder": "", "size_bytes": 7}


def fold(rows: list[dict[str, Any]], task: TaskName) -> Summary:
    return Summary.of(pa.Table.from_pylist(rows, schema=SCHEMA), task=task, class_names=NAMES)


ROWS = [
    ok_row("a.jpg", 0, 0.75),
    ok_row("b.jpg", 0, 0.5),
    ok_row(HOSTILE_ID, 1, 0.25),
    failed_row("z.jpg", "decode_error"),
    failed_row("y.jpg", "fetch_error"),
]


@pytest.fixture
def classified() -> Summary:
    return fold(ROWS, "classification")


@pytest.fixture
def judged() -> Summary:
    """The images of ``classified`` with statistics and verdicts."""
    found = {
        "a.jpg": {"verdict": "accept", "reasons": [], "priority": 0.125, "margin": 0.5},
        "b.jpg": {"verdict": "reject", "reasons": ["knows nothing"], "priority": 0.875, "margin": 0.25},
        HOSTILE_ID: {"verdict": "review", "reasons": ["=SUM(A1)", "close"], "priority": 0.75, "margin": 0.0},
    }
    rows = [row | found.get(row["image_id"], {}) for row in ROWS]
    schema = pa.schema([*SCHEMA, *VERDICT_FIELDS, pa.field("margin", pa.float32())])
    return Summary.of(pa.Table.from_pylist(rows, schema=schema), task="classification", class_names=NAMES)


@pytest.fixture
def segmented() -> Summary:
    return fold(ROWS, "segmentation")


@pytest.fixture
def labelled() -> Summary:
    return fold(ROWS, "multilabel")


@pytest.fixture
def detected() -> Summary:
    return fold([*ROWS, ok_row("none.jpg", 0, 0.5) | {"objects": [], "num_objects": 0, "score": None}], "detection")


@pytest.fixture
def embedded() -> Summary:
    return Summary.of(pa.Table.from_pylist(ROWS, schema=SCHEMA), task="embedding", class_names=())


@pytest.fixture
def slower() -> Summary:
    """The images of ``classified`` in another run: other times, nothing else."""
    return fold([row | {"infer_ms": 50.0} if row["status"] == "ok" else row for row in ROWS], "classification")


@pytest.fixture
def nothing() -> Summary:
    return Summary.empty(task="classification", class_names=NAMES)


@pytest.fixture
def facts() -> RunFacts:
    return RunFacts(
        run_id="run-1",
        started="2026-01-02T03:04:05Z",
        finished="2026-01-02T03:05:05Z",
        wall_s=60.0,
        model_name="unet & <friends>",
        model_digest="sha256:abc",
        config={"batch_size": 8, "input": {"uri": "s3://bucket/<b>"}},
        num_planned=6,
        num_ok=3,
        num_failed=2,
        num_skipped=1,
        num_shards=1,
        layout="whole",
        layout_reason="no GPU",
        engine="torch, cpu, bf16",
        versions={"torch": "2.13.0"},
        images_per_s=0.1,
        num_attempts=1,
        num_cores=4,
    )


@pytest.fixture
def errors() -> list[ErrorRow]:
    return [
        ErrorRow(image_id="z.jpg", uri="", status="decode_error", error="the JPEG ends early"),
        ErrorRow(image_id=HOSTILE_ID, uri="s3://b/x", status="decode_error", error="@SUM(1)\nline two"),
        ErrorRow(image_id="y.jpg", uri="", status="fetch_error", error="<img src=x onerror=alert(2)>"),
    ]
