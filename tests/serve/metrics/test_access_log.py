from __future__ import annotations

import io
import json
import threading
from dataclasses import fields
from time import perf_counter

import pytest

from inference_core.items import Prediction, StageMs
from inference_core.records import SourceFacts
from serve.answers import Answer
from serve.metrics import access_log
from serve.metrics.access_log import AccessLog, AccessLogKind, build_access_log
from serve.metrics.visit import Visit


def answer(*, was_cached: bool = False, batch_size: int = 2) -> Answer:
    prediction = Prediction(
        source=SourceFacts(image_id="secret.jpg"), status="ok", stage_ms=StageMs(prepare=1.5, infer=2)
    )
    return Answer(
        prediction=prediction,
        row={},
        model="m",
        model_digest="d" * 64,
        queue_ms=0.25,
        batch_size=batch_size,
        was_cached=was_cached,
    )


def visit(*answers: Answer, status: str = "200", reason: str = "") -> Visit:
    found = Visit(protocol="http", method="POST", route="/v1/predict", started_s=perf_counter())
    found.status, found.reason, found.request_id, found.received_bytes = status, reason, "r1", 10
    for entry in answers:
        found.note(entry)
    return found


def written(kind: AccessLogKind, *visits: Visit) -> list[str]:
    stream = io.StringIO()
    log = build_access_log(kind, stream=stream)
    if log is not None:
        for entry in visits:
            log.write(entry, seconds=0.5)
        log.close()
    return stream.getvalue().splitlines()


def test_none_writes_nothing() -> None:
    assert written("none", visit()) == []


def test_every_line_is_an_object_in_order() -> None:
    lines = [json.loads(line) for line in written("json", visit(answer(), answer(batch_size=5)), visit(status="404"))]
    assert [line["status"] for line in lines] == ["200", "404"]
    first = lines[0]
    assert (first["request_id"], first["route"], first["total_ms"], first["received_bytes"]) == (
        *("r1", "/v1/predict", 500.0, 10),
    )
    assert (first["model"], first["images"], first["cached"], first["batch_size"]) == ("m", 2, 0, 5)
    assert (first["queue_ms"], first["prepare_ms"], first["infer_ms"], first["finish_ms"]) == (0.5, 3.0, 4.0, 0.0)
    assert first["time"].endswith("Z")
    assert "model" not in lines[1]


def test_a_cached_answer_took_no_time_of_the_model() -> None:
    (line,) = written("json", visit(answer(was_cached=True)))
    told = json.loads(line)
    assert (told["cached"], told["batch_size"], told["infer_ms"]) == (1, 0, 0.0)


def test_a_line_for_the_eye_tells_the_same() -> None:
    (line,) = written("text", visit(answer(), status="429", reason="overloaded"))
    assert "http POST /v1/predict 429 overloaded 500.0ms in=10 out=0 m images=1 batch=2 id=r1" in line


@pytest.mark.parametrize("kind", ["text", "json"])
def test_what_a_client_calls_its_images_is_not_told(kind: AccessLogKind) -> None:
    assert "secret" not in "".join(written(kind, visit(answer())))
    assert not {"client", "query", "path", "headers", "key"} & {entry.name for entry in fields(Visit)}


class Stuck(io.StringIO):
    """A terminal that somebody has stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.released.wait(30)
        return super().write(text)


def test_lines_are_lost_rather_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "MAX_WAITING", 5)
    stream = Stuck()
    log = AccessLog("json", stream=stream)
    for _ in range(20):
        log.write(visit(), seconds=0.1)
    lost = log.num_lost
    stream.released.set()
    log.close()
    assert 14 <= lost <= 15  # one may be in the hands of the thread already
    assert len(stream.getvalue().splitlines()) == 20 - lost


def test_a_closed_stream_ends_nothing() -> None:
    stream = io.StringIO()
    log = AccessLog("json", stream=stream)
    stream.close()
    log.write(visit(), seconds=0.1)
    log.close()
    assert log.num_lost == 1
