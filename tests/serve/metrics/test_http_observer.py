from __future__ import annotations

import asyncio
import contextlib
import io
import json
from typing import Any

import pytest

from serve.metrics.access_log import AccessLog
from serve.metrics.http_observer import HttpObserver, kind_of_problem, route_of
from serve.metrics.names import RECEIVED_BYTES, REJECTED, REQUESTS, REQUESTS_IN_FLIGHT, SENT_BYTES
from serve.metrics.tally import Tally
from serve.metrics.visit import CURRENT
from serve.metrics.visits import Visits
from serve.reply import Message, Receive, Reply, Scope, Send, send_reply
from serve.request_id import SCOPE_KEY


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/v1/predict", "/v1/predict"),
        ("/v1/models/mobilenet", "/v1/models/{model}"),
        ("/v1/models/mobilenet/predict", "/v1/models/{model}/predict"),
        ("/v2/models/m", "/v2/models/{model}"),
        ("/v2/models/m/infer", "/v2/models/{model}/infer"),
        ("/v2/models/m/versions/3/ready", "/v2/models/{model}/versions/{version}/ready"),
        ("/v2/models/m/versions/3/infer", "/v2/models/{model}/versions/{version}/infer"),
        ("/v2/models/m/versions/3/anything", "other"),
        ("/v2/models/a/b/infer", "other"),
        ("/page/theme.css", "/page/"),
        ("/wp-login.php", "other"),
        ("", "other"),
    ],
)
def test_paths_have_few_patterns(path: str, route: str) -> None:
    assert route_of(path) == route


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"urn:millrace:problem:too-large","title":"x"}', "too-large"),
        (b'{"error":"no","kind":"overloaded"}', "overloaded"),
        (b'{"detail": "Not Found"}', "http-error"),
        (b"", "http-error"),
    ],
)
def test_a_problem_is_told_by_its_kind(body: bytes, kind: str) -> None:
    assert kind_of_problem(body) == kind


class App:
    """Reads the body and gives a reply, or raises."""

    def __init__(self, reply: Reply | None, *, error: Exception | None = None) -> None:
        self._reply, self._error = reply, error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[SCOPE_KEY] = "r1"
        assert CURRENT.get() is not None
        while (await receive()).get("more_body"):
            pass
        if self._error is not None:
            raise self._error
        if self._reply is not None:
            await send_reply(self._reply, send)


def ask(
    app: Any, *, body: tuple[bytes, ...] = (b"abc", b"de"), path: str = "/v1/predict"
) -> tuple[Tally, dict[str, Any]]:
    """What is counted and logged of one request."""
    stream, tally = io.StringIO(), Tally()
    log = AccessLog("json", stream=stream)
    chunks = [{"type": "http.request", "body": part, "more_body": part is not body[-1]} for part in body]

    async def receive() -> Message:
        return chunks.pop(0)

    async def send(message: Message) -> None:
        pass

    async def run() -> None:
        observer = HttpObserver(app, Visits(tally, log=log))
        try:
            await observer({"type": "http", "method": "POST", "path": path, "headers": []}, receive, send)
        finally:
            assert CURRENT.get() is None

    with contextlib.suppress(RuntimeError):
        asyncio.run(run())
    log.close()
    return tally, json.loads(stream.getvalue())


def values(tally: Tally) -> dict[str, dict[tuple[str, ...], float]]:
    return tally.snapshot("a").values


def test_an_answer_is_counted_and_logged() -> None:
    tally, line = ask(App(Reply(body=b"1234567")))
    found = values(tally)
    assert found[REQUESTS.name] == {("http", "/v1/predict", "200"): 1}
    assert found[RECEIVED_BYTES.name] == {("http",): 5}
    assert found[SENT_BYTES.name] == {("http",): 7}
    assert found[REQUESTS_IN_FLIGHT.name] == {("http",): 0}
    assert REJECTED.name not in found
    assert (line["status"], line["request_id"], line["received_bytes"], line["reason"]) == ("200", "r1", 5, "")


def test_a_problem_is_counted_by_its_kind() -> None:
    tally, line = ask(App(Reply(status=429, body=b'{"type":"urn:millrace:problem:overloaded"}')))
    assert values(tally)[REJECTED.name] == {("http", "overloaded"): 1}
    assert (line["status"], line["reason"]) == ("429", "overloaded")


@pytest.mark.parametrize("app", [App(None), App(None, error=RuntimeError("bug"))], ids=["gone", "a-bug"])
def test_a_request_without_an_answer_is_counted_too(app: App) -> None:
    tally, line = ask(app)
    assert values(tally)[REQUESTS.name] == {("http", "/v1/predict", "499"): 1}
    assert values(tally)[REQUESTS_IN_FLIGHT.name] == {("http",): 0}
    assert line["status"] == "499"


def test_made_up_paths_make_no_new_series() -> None:
    tally, _ = ask(App(Reply(status=404, body=b"{}")), path="/../../etc/passwd")
    assert values(tally)[REQUESTS.name] == {("http", "other", "404"): 1}
