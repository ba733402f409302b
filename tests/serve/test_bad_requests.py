"""Everything that a client can get wrong, on a real socket: the right status, what to do about it, and in time."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from serve.http_protocol import MAX_HEAD_BYTES
from tests.serve.http_service import RED, Answered, HttpService, http_request, http_service, png, read_answer
from tests.serve.tiny_service import tiny_config

MAX_IMAGE, MAX_BODY = 100_000, 300_000
IMAGE = png(RED)
JSON_TYPE = "Content-Type: application/json"
FORM_TYPE = "Content-Type: multipart/form-data; boundary=XX"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    config = tiny_config(
        tmp_path_factory.mktemp("bad"),
        http={"port": 0, "header_timeout_s": 0.6, "body_timeout_s": 1.5, "body_idle_timeout_s": 0.5},
        limits={
            "max_image_bytes": MAX_IMAGE,
            "max_body_bytes": MAX_BODY,
            "max_images": 2,
            "max_pixels": 10_000,
            "max_connections": 24,
        },
    )
    with http_service(config) as running:
        yield running


def sized(*lines: str, body: bytes) -> bytes:
    return http_request(*lines, f"Content-Length: {len(body)}", "Connection: close", body=body)


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return http_request("Transfer-Encoding: chunked", "Connection: close", body=parts + end)


def asking(query: str, *lines: str, body: bytes = IMAGE, method: str = "POST") -> bytes:
    return sized(*lines, body=body).replace(b"POST /v1/predict", f"{method} {query}".encode(), 1)


def json_body(*images: dict[str, str], **options: object) -> bytes:
    return json.dumps({"images": list(images), **options}).encode()


def part(head: str, data: bytes) -> bytes:
    return b"--XX\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def file_part(data: bytes = IMAGE, name: str = "a.png") -> bytes:
    return part(f'Content-Disposition: form-data; name="file"; filename="{name}"', data)


def bomb(side: int = 20_000) -> bytes:
    """A PNG of a few hundred bytes whose header promises 400 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


END = b"--XX--\r\n"
DATA = {"data": base64.b64encode(IMAGE).decode()}

CASES: dict[str, tuple[bytes, int, str, str]] = {
    # an image that is none, or over a limit
    "no-bytes": (sized(body=b""), 422, "bad-image", "image must have bytes"),
    "text": (sized(body=b"hello"), 415, "bad-image", "image bytes must be jpeg, png"),
    "torn": (sized(body=IMAGE[:45]), 422, "bad-image", ""),
    "bomb": (sized(body=bomb()), 413, "bad-image", "raise max_pixels"),
    "too-many-bytes": (sized(body=bytes(MAX_IMAGE + 1)), 413, "too-large", "at most 100000 bytes"),
    # types
    "curl-default": (
        sized("Content-Type: application/x-www-form-urlencoded", body=IMAGE),
        415,
        "unsupported-type",
        "curl sends an image with -H",
    ),
    "text-type": (sized("Content-Type: text/plain", body=IMAGE), 415, "unsupported-type", "got text/plain"),
    "broken-type": (sized("Content-Type: image", body=IMAGE), 415, "unsupported-type", "content-type must be"),
    "gzip": (sized("Content-Encoding: gzip", body=IMAGE), 415, "unsupported-type", "send the body as it is"),
    "not-acceptable": (sized("Accept: text/html", body=IMAGE), 406, "not-acceptable", "ask for one of these"),
    "mask-of-classes": (sized("Accept: image/png", body=IMAGE), 406, "not-acceptable", "got image/png; ask for"),
    "broken-accept": (sized("Accept: ;;;", body=IMAGE), 406, "not-acceptable", "list of media types"),
    "list-as-png": (
        asking("/v1/models/tiny-segmentation/predict", JSON_TYPE, "Accept: image/png", body=json_body(DATA)),
        406,
        "not-acceptable",
        "send them one by one",
    ),
    # options
    "unknown-option": (asking("/v1/predict?topk=2"), 422, "invalid-request", "did you mean top_k?"),
    "option-twice": (asking("/v1/predict?top_k=1&top_k=2"), 422, "invalid-request", "must be given once"),
    "top-k-word": (asking("/v1/predict?top_k=many"), 422, "invalid-request", "whole number from 1"),
    "top-k-zero": (asking("/v1/predict?top_k=0"), 422, "invalid-request", "whole number from 1"),
    "top-k-beyond": (asking("/v1/predict?top_k=3"), 422, "invalid-request", "from 1 to 2 for this model"),
    "threshold-nan": (asking("/v1/predict?threshold=nan"), 422, "invalid-request", "number from 0 to 1"),
    "threshold-unused": (asking("/v1/predict?threshold=0.5"), 422, "invalid-request", "threshold must be absent"),
    "switch": (asking("/v1/predict?mask=maybe"), 422, "invalid-request", "true or false"),
    "view": (asking("/v1/predict?view=front"), 422, "invalid-request", "one of mask, overlay, scores"),
    "not-utf8": (asking("/v1/predict?image_id=%ff"), 422, "invalid-request", "UTF-8"),
    "timeout-word": (sized("X-Request-Timeout-Seconds: soon", body=IMAGE), 422, "invalid-request", "positive number"),
    "timeout-minus": (sized("X-Request-Timeout-Seconds: -1", body=IMAGE), 422, "invalid-request", "positive number"),
    # models, paths, methods
    "unknown-model": (asking("/v1/predict?model=other"), 404, "unknown-model", "model must be one of tiny-class"),
    "unknown-in-path": (asking("/v1/models/other/predict"), 404, "unknown-model", "GET /v1/models"),
    "model-twice": (asking("/v1/models/tiny-embedding/predict?model=x"), 422, "invalid-request", "given once"),
    "unknown-path": (asking("/v1/prediction"), 404, "not-found", "GET /openapi.json"),
    "climbing-path": (asking("/page/../../etc/passwd", method="GET"), 404, "not-found", "path must be one"),
    "wrong-method": (asking("/v1/predict", method="GET"), 405, "method-not-allowed", "Allow header"),
    # JSON
    "no-json": (sized(JSON_TYPE, body=b"{"), 400, "malformed-body", "body must be JSON"),
    "not-utf8-json": (sized(JSON_TYPE, body=b'{"a":"\xff"}'), 400, "malformed-body", "body must be JSON"),
    "deep-json": (sized(JSON_TYPE, body=b"[" * 100_000), 400, "malformed-body", "body must be JSON"),
    "json-list": (sized(JSON_TYPE, body=b"[]"), 422, "invalid-request", "GET /openapi.json"),
    "no-images": (sized(JSON_TYPE, body=json_body()), 422, "invalid-request", "images"),
    "unknown-key": (sized(JSON_TYPE, body=json_body(DATA, topk=1)), 422, "invalid-request", "topk"),
    "neither": (sized(JSON_TYPE, body=json_body({})), 422, "invalid-request", "give either data or uri"),
    "both": (sized(JSON_TYPE, body=json_body({**DATA, "uri": "x"})), 422, "invalid-request", "give either"),
    "no-base64": (
        sized(JSON_TYPE, body=json_body({"data": "###"})),
        400,
        "malformed-body",
        "images.0.data must be base64",
    ),
    "many-images": (sized(JSON_TYPE, body=json_body(DATA, DATA, DATA)), 413, "too-large", "at most 2 in one call"),
    "large-base64": (
        sized(JSON_TYPE, body=json_body({"data": "A" * (4 * MAX_IMAGE // 3 + 8)})),
        413,
        "too-large",
        "image must be at most",
    ),
    "uri": (sized(JSON_TYPE, body=json_body({"uri": "/etc/hostname"})), 403, "forbidden", "security.storage_allow"),
    # forms
    "no-boundary": (sized("Content-Type: multipart/form-data", body=END), 400, "malformed-body", "boundary"),
    "long-boundary": (
        sized(f"Content-Type: multipart/form-data; boundary={'x' * 71}", body=END),
        400,
        "malformed-body",
        "1 to 70 characters",
    ),
    "no-form": (sized(FORM_TYPE, body=b"hello"), 400, "malformed-body", "let a library write it"),
    "form-without-end": (sized(FORM_TYPE, body=file_part()), 400, "malformed-body", "must end with its boundary"),
    "form-torn-in-part": (sized(FORM_TYPE, body=file_part()[:-20]), 400, "malformed-body", "boundary"),
    "form-without-file": (
        sized(FORM_TYPE, body=part('Content-Disposition: form-data; name="top_k"', b"1") + END),
        422,
        "invalid-request",
        "at least one file",
    ),
    "empty-form": (sized(FORM_TYPE, body=END), 422, "invalid-request", "at least one file"),
    "form-many-files": (sized(FORM_TYPE, body=file_part() * 3 + END), 413, "too-large", "at most 2 in one call"),
    "form-large-file": (
        sized(FORM_TYPE, body=file_part(bytes(MAX_IMAGE + 1)) + END),
        413,
        "too-large",
        "image must be at most",
    ),
    "form-large-header": (
        sized(FORM_TYPE, body=file_part(name="x" * 5000) + END),
        400,
        "malformed-body",
        "let a library write",
    ),
    "form-many-headers": (
        sized(FORM_TYPE, body=part("A: b\r\n" * 20 + "C: d", IMAGE) + END),
        400,
        "malformed-body",
        "let a library write",
    ),
    "form-unnamed": (sized(FORM_TYPE, body=part("A: b", IMAGE) + END), 400, "malformed-body", "Content-Disposition"),
    "form-unknown-field": (
        sized(FORM_TYPE, body=file_part() + part('Content-Disposition: form-data; name="k"', b"1") + END),
        422,
        "invalid-request",
        "option must be one of",
    ),
    "form-base64": (
        sized(
            FORM_TYPE,
            body=part(
                'Content-Disposition: form-data; name="f"; filename="f"\r\nContent-Transfer-Encoding: base64', b"AAAA"
            )
            + END,
        ),
        415,
        "unsupported-type",
        "leave the encoding out",
    ),
    "option-in-both": (
        asking(
            "/v1/predict?top_k=1",
            FORM_TYPE,
            body=file_part() + part('Content-Disposition: form-data; name="top_k"', b"2") + END,
        ),
        422,
        "invalid-request",
        "in the query and in the body",
    ),
    # framing
    "length-over-limit": (http_request(f"Content-Length: {10**9}"), 413, "too-large", "send fewer"),
    "length-beyond-reason": (http_request(f"Content-Length: {10**18}"), 413, "too-large", "send fewer"),
    "length-no-number": (http_request("Content-Length: ten", body=IMAGE), 400, "malformed-body", "HTTP/1.1"),
    "two-lengths": (
        http_request("Content-Length: 5", "Content-Length: 6", body=b"hello"),
        400,
        "malformed-body",
        "HTTP/1.1",
    ),
    "chunks-over-limit": (chunked(*[bytes(30_000)] * 4), 413, "too-large", "at most 100000 bytes"),
    "chunk-size-broken": (chunked(end=b"zz\r\n"), 400, "malformed-body", "HTTP/1.1"),
    "chunk-broken-later": (chunked(IMAGE, end=b"zz\r\n"), 400, "malformed-body", "HTTP/1.1"),
    "no-http": (b"\x16\x03\x01 hello\r\n\r\n", 400, "malformed-body", "HTTP/1.1"),
    "large-head": (
        b"GET / HTTP/1.1\r\nA: " + b"x" * (2 * MAX_HEAD_BYTES),
        431,
        "head-too-large",
        "shorten them",
    ),
    # senders that lie or dawdle
    "length-too-long": (http_request(f"Content-Length: {len(IMAGE) + 1}", body=IMAGE), 408, "slow-sender", "faster"),
    "length-and-nothing": (http_request("Content-Length: 10"), 408, "slow-sender", "got 0 bytes of it"),
    "chunks-without-end": (chunked(IMAGE, end=b""), 408, "slow-sender", "got"),
    "half-a-head": (b"POST /v1/predict HTTP/1.1\r\nHost: t\r\n", 408, "slow-sender", "headers must come within 0.6 s"),
}


def check_problem(answer: Answered, status: int, kind: str, told: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer.body
    problem = json.loads(answer.body)
    assert problem["type"] == f"urn:millrace:problem:{kind}"
    assert problem["status"] == status
    assert told in problem["detail"]
    assert len(problem["request_id"]) == 16
    assert answer.headers["x-request-id"] == problem["request_id"]
    assert "/tmp" not in problem["detail"]
    assert "Traceback" not in str(problem)


@pytest.mark.parametrize(("sent", "status", "kind", "told"), CASES.values(), ids=CASES)
def test_it_is_refused_with_a_problem(service: HttpService, sent: bytes, status: int, kind: str, told: str) -> None:
    begun_s = time.monotonic()
    answer = service.talk(sent)
    assert time.monotonic() - begun_s < 5
    check_problem(answer, status, kind, told)
    if kind == "bad-image":
        assert json.loads(answer.body)["record"]["status"] == json.loads(answer.body)["image_status"]


def test_methods_are_told(service: HttpService) -> None:
    assert "POST" in service.talk(CASES["wrong-method"][0]).headers["allow"]


def drip(connection: socket.socket, data: bytes) -> Answered:
    """Send a byte at a time until the service has enough of it."""
    try:
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            time.sleep(0.1)
    except OSError:
        pass
    return read_answer(connection)


@pytest.mark.parametrize("sent", [http_request("A: " + "x" * 80), http_request("Content-Length: 100", body=bytes(60))])
def test_a_byte_at_a_time_is_too_slow(service: HttpService, sent: bytes) -> None:
    head, _, body = sent.partition(b"\r\n\r\n")
    with closing(service.connect()) as connection:
        begun_s = time.monotonic()
        if body:
            connection.sendall(head + b"\r\n\r\n")
        answer = drip(connection, body or sent)
        assert time.monotonic() - begun_s < 6
    check_problem(answer, 408, "slow-sender", "faster")


def test_a_connection_that_says_nothing_is_closed(service: HttpService) -> None:
    with closing(service.connect()) as connection:
        assert connection.recv(10) == b""


def test_the_answer_is_read_while_the_client_still_sends(service: HttpService) -> None:
    with closing(service.connect()) as connection:
        connection.sendall(http_request("Content-Length: 50000000"))
        for _ in range(200):  # what a client sends that does not look at the answer before its end
            connection.sendall(bytes(50_000))
        check_problem(read_answer(connection), 413, "too-large", "send fewer")


def test_a_client_that_leaves_early_leaves_nothing_behind(service: HttpService) -> None:
    for sent in (http_request("Content-Length: 1000", body=b"x"), b"POST /v1", sized(body=IMAGE)):
        with closing(service.connect()) as connection:
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not end
    assert httpx.post(f"{service.url}/v1/predict", content=IMAGE).status_code == 200


def test_more_connections_than_allowed_are_told_so(service: HttpService) -> None:
    held = [service.connect() for _ in range(24)]
    try:
        with closing(service.connect()) as connection:
            answer = read_answer(connection)
        check_problem(answer, 503, "unavailable", "connection free")
        assert answer.headers["retry-after"] == "1"
    finally:
        for connection in held:
            connection.close()


def test_a_reader_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, http={"port": 0, "body_timeout_s": 0.5})
    rows = 6000
    noise = os.urandom(3 * 1000)
    image = b"\x93NUMPY" + npy_tail(rows, 1000, noise)
    with http_service(config) as service, closing(service.connect()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        query = "/v1/models/tiny-segmentation/predict"
        connection.sendall(asking(query, "Accept: application/x-npy", body=image))
        time.sleep(3)
        received = 0
        try:
            while chunk := connection.recv(65536):
                received += len(chunk)
        except ConnectionError:
            pass
        assert received < rows * 1000


def npy_tail(rows: int, columns: int, line: bytes) -> bytes:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({rows}, {columns}, 3), }}".ljust(117) + "\n"
    return b"\x01\x00" + struct.pack("<H", len(header)) + header.encode() + line * rows


def test_a_deadline_is_kept(service: HttpService) -> None:
    answer = httpx.post(f"{service.url}/v1/predict", content=IMAGE, headers={"x-request-timeout-seconds": "1e-9"})
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:millrace:problem:deadline")


@pytest.mark.assets
def test_hostile_files_have_statuses_and_break_nothing(assets: Path, service: HttpService) -> None:
    files = sorted(path for path in (assets / "hostile").rglob("*") if path.is_file())
    assert len(files) > 5
    allowed: Callable[[int], bool] = lambda status: status < 500 or status in (502, 507)  # noqa: E731
    with httpx.Client(base_url=service.url, timeout=30) as client:
        for path in files:
            answer = client.post("/v1/predict", content=path.read_bytes())
            assert allowed(answer.status_code), (path.name, answer.text)
            assert str(assets) not in answer.text
