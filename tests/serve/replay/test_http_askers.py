from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from inference_core.errors import ConfigError
from serve.replay import http_askers
from serve.replay.command import build_asker
from serve.replay.grpc_asker import target_of
from serve.replay.http_askers import NUM_TRIES, OipAsker, PredictAsker

Answer = tuple[int, dict[str, str], Any]
RECORD = {"status": "ok", "score": 0.5}
GOOD: Answer = (200, {}, {"prediction": RECORD, "model_digest": "d"})
BUSY: Answer = (503, {"Retry-After": "7"}, {"detail": "it stops"})


@contextmanager
def server(*answers: Answer | None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Gives its answers in order, the last one for ever; None closes the connection. And what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append({"path": self.path, "headers": dict(self.headers), "body": body})
            answer = answers[min(len(asked), len(answers)) - 1]
            if answer is None:
                self.close_connection = True
                return
            status, headers, value = answer
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}", asked
        finally:
            http.shutdown()
            thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(http_askers.time, "sleep", slept.append)
    return slept


def ask(url: str, *, times: int = 1, **options: Any) -> list[Any]:
    asker = PredictAsker(url, **options)
    try:
        return [asker.ask(b"image", with_mask=False) for _ in range(times)]
    finally:
        asker.close()


def test_the_record_is_what_was_predicted() -> None:
    with server(GOOD) as (url, asked):
        (given,) = ask(f"{url}/below/", model="m 1", key="secret")
    assert (given.values, given.model_digest, given.refusal, given.is_whole) == (RECORD, "d", "", True)
    assert asked[0]["path"] == "/below/v1/predict?model=m+1"
    assert asked[0]["headers"]["Authorization"] == "Bearer secret"
    assert asked[0]["body"] == b"image"


def test_a_busy_service_is_asked_again_when_it_says(pauses: list[float]) -> None:
    with server(BUSY, (429, {}, {}), GOOD) as (url, asked):
        (given,) = ask(url)
    assert given.values == RECORD
    assert (len(asked), pauses) == (3, [7.0, 1.0])


def test_a_service_that_stays_busy_has_refused(pauses: list[float]) -> None:
    with server(BUSY) as (url, asked):
        (given,) = ask(url)
    assert given.refusal == "HTTP 503: it stops"
    assert len(asked) == NUM_TRIES


def test_a_kept_connection_that_was_closed_is_made_anew() -> None:
    with server(GOOD, None, GOOD) as (url, asked):
        given = ask(url, times=2)
    assert [entry.values for entry in given] == [RECORD, RECORD]
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("answer", "values", "is_whole"),
    [
        pytest.param((422, {}, {"record": RECORD}), RECORD, True, id="a-record"),
        pytest.param(
            (400, {}, {"error": "cut off", "image_status": "decode_error"}),
            {"status": "decode_error", "error": "cut off"},
            False,
            id="a-status",
        ),
        pytest.param(
            (413, {}, {"type": "urn:millrace:problem:too-large"}), {"status": "too_large"}, False, id="a-body-too-large"
        ),
    ],
)
def test_what_a_problem_says_of_the_image_is_compared(answer: Answer, values: dict[str, Any], is_whole: bool) -> None:
    with server(answer) as (url, _):
        (given,) = ask(url)
    assert (given.values, given.is_whole, given.refusal) == (values, is_whole, "")


@pytest.mark.parametrize("answer", [(500, {}, b"<html>"), (404, {}, {"detail": "unknown model"}), None])
def test_anything_else_is_a_refusal(answer: Answer | None) -> None:
    with server(answer) as (url, _):
        (given,) = ask(url)
    assert given.refusal
    assert not given.values


def test_the_protocol_puts_the_image_behind_its_json() -> None:
    answer = {"outputs": [{"name": "row", "data": [json.dumps(RECORD)]}], "parameters": {"model_digest": "d"}}
    with server((200, {}, answer)) as (url, asked):
        asker = OipAsker(url, model="a/b")
        given = asker.ask(b"image", with_mask=False)
        asker.close()
    assert (given.values, given.model_digest) == (RECORD, "d")
    size = int(asked[0]["headers"]["Inference-Header-Content-Length"])
    assert asked[0]["path"] == "/v2/models/a%2Fb/infer"
    assert asked[0]["body"][size:] == b"\x05\0\0\0image"


@pytest.mark.parametrize(
    ("protocol", "url", "message"),
    [
        ("http", "127.0.0.1:8000", "must be a URL with http or https"),
        ("v2", "ftp://127.0.0.1", "tells its models"),
        ("grpc", "127.0.0.1", "must name host and port"),
        ("soap", "http://127.0.0.1", "must be one of http, v2, grpc"),
    ],
)
def test_a_url_that_is_none_is_refused(protocol: str, url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_asker(protocol, url, model="", key="")


@pytest.mark.parametrize(
    ("url", "target"),
    [("host:1", "host:1"), ("grpc://host:1", "host:1"), ("http://host:1/x", "host:1"), ("[::1]:2", "[::1]:2")],
)
def test_grpc_takes_a_host_and_a_port(url: str, target: str) -> None:
    assert target_of(url) == target
