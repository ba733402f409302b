from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ConfigError
from serve.stream_command import describe, stream_source
from serve.stream_player import Tally, stream_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://127.0.0.1:8000", "ws://127.0.0.1:8000/v1/stream"),
        ("http://127.0.0.1:8000/", "ws://127.0.0.1:8000/v1/stream"),
        ("https://models.example/v1/stream", "wss://models.example/v1/stream"),
        ("wss://models.example/behind/v1/stream", "wss://models.example/behind/v1/stream"),
    ],
)
def test_any_url_of_the_service_leads_to_its_stream(url: str, expected: str) -> None:
    assert stream_url(url) == expected


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://host", "ws://"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^url: must be like ws://127\.0\.0\.1:8000, got "):
        stream_url(url)


@pytest.mark.parametrize(("name", "value"), [("show", "all"), ("drop", "old"), ("encode", "webp")])
def test_a_choice_that_there_is_not_names_those_that_there_are(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: must be one of .*, got '{value}'; choose one"):
        stream_source("clip.mp4", "ws://127.0.0.1:8000", **{name: value})


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({"num_objects": 0, "objects": []}, "no object", id="nothing found"),
        pytest.param(
            {"num_objects": 3, "objects": [{"label": name} for name in ("cup", "vase", "cup")]},
            "2 cup, 1 vase",
            id="detection",
        ),
        pytest.param(
            {"foreground_frac": 0.25, "classes": [{"label": "ground", "frac": 0.75}, {"label": "cell", "frac": 0.25}]},
            "ground 75.0%, cell 25.0%",
            id="segmentation",
        ),
        pytest.param({"labels": [], "score": 0.1}, "no label", id="no label"),
        pytest.param({"labels": ["car", "bus"]}, "car, bus", id="multilabel"),
        pytest.param({"embedding": [0.6, 0.8], "norm": 1.0}, "2 numbers of length 1", id="embedding"),
        pytest.param({"label": "tench", "score": 0.5}, "tench 0.500", id="classification"),
    ],
)
def test_a_line_says_what_was_seen(row: dict[str, Any], expected: str) -> None:
    message = {"prediction": {"status": "ok", "error": "", **row}, "timings": {"total_ms": 12.4}}
    assert describe(message) == f"{expected}  (12 ms)"


def test_a_line_says_what_went_wrong() -> None:
    assert describe({"prediction": {"status": "decode_error", "error": "cut off"}}) == "decode_error: cut off"
    assert describe({"problem": {"detail": "too many"}}) == "too many"


def test_the_sums_of_nothing_are_nothing() -> None:
    assert Tally().sentence() == (
        "0 frames sent, 0 ok, 0 failed, 0 dropped in 0.0 s: 0.0 results/s, p50 0 ms, p95 0 ms"
    )
