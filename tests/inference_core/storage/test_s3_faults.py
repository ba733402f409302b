"""What a store and the way to it do wrong, and what becomes of a request then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from inference_core import storage
from inference_core.errors import StorageError
from tests.s3_loopback import Fault, S3Server


def answer(status: str, code: str = "") -> Fault:
    return Fault(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode() if code else b"")


PASSING = [
    pytest.param(answer("429 Too Many Requests"), id="429"),
    pytest.param(answer("429 Too Many Requests", "TooManyRequests"), id="429-with-a-code"),
    pytest.param(answer("500 Internal Server Error"), id="500"),
    pytest.param(answer("500 Internal Server Error", "InternalError"), id="500-with-a-code"),
    pytest.param(answer("502 Bad Gateway"), id="502"),
    pytest.param(answer("503 Service Unavailable"), id="503"),
    pytest.param(answer("503 Slow Down", "SlowDown"), id="slow-down"),
    pytest.param(answer("504 Gateway Timeout"), id="504"),
    pytest.param(answer("400 Bad Request", "RequestTimeout"), id="request-timeout"),
    pytest.param(Fault("", resets=True), id="reset"),
]
"""What goes by."""


@pytest.fixture
def server(s3_server: S3Server) -> Iterator[S3Server]:
    s3_server.forget()
    yield s3_server
    s3_server.forget()
    s3_server.denied, s3_server.fault_every = frozenset(), None


@pytest.fixture(autouse=True)
def _brief_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits up to a second, then two, four, ...: here the requests count, not the time between them.

    A client takes its pauses from where it is made, so these tests have one of their own.
    """
    monkeypatch.setattr("botocore.retryhandler.delay_exponential", lambda **_: 0.0)
    monkeypatch.setenv("AWS_MILLRACE_TEST", "brief pauses")


def write_stream(uri: str) -> None:
    with storage.open_for_write(uri) as file:
        file.write(b"content")


OPERATIONS: dict[str, Callable[[str], object]] = {
    "read": lambda uri: storage.read_bytes(f"{uri}/there"),
    "read many": lambda uri: list(storage.read_many([f"{uri}/there"])),
    "list": lambda uri: list(storage.list_objects(uri)),
    "exists": lambda uri: storage.exists(f"{uri}/there"),
    "replace": lambda uri: storage.replace(f"{uri}/there", b"content"),
    "create": lambda uri: storage.create(f"{uri}/new", b"content"),
    "write": lambda uri: write_stream(f"{uri}/stream"),
    "delete": lambda uri: storage.delete_many([f"{uri}/there"]),
}


@pytest.mark.parametrize("fault", PASSING)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_burst_that_passes_is_not_noticed(server: S3Server, s3_prefix: str, name: str, fault: Fault) -> None:
    if name == "exists" and fault.status.startswith("400"):
        pytest.skip("an answer to HEAD has no body that could tell a time-out from a mistake")
    storage.replace(f"{s3_prefix}/there", b"content")
    expected = OPERATIONS[name](s3_prefix)
    storage.replace(f"{s3_prefix}/there", b"content")
    storage.delete_many([f"{s3_prefix}/new", f"{s3_prefix}/stream"])
    server.forget()
    server.fail_next(fault, fault, fault)
    found = OPERATIONS[name](s3_prefix)
    assert found == expected or name == "list"
    assert len(server.requests()) == 4


def test_a_long_burst_over_many_objects_is_not_noticed(server: S3Server, s3_prefix: str) -> None:
    uris = server.fill(s3_prefix, [f"{index:04}" for index in range(300)], b"content")
    server.forget()
    # As many as botocore's newer modes would give up after, several times over.
    server.fail_next(*[answer("503 Slow Down", "SlowDown")] * 600)
    outcomes = list(storage.read_many(uris, concurrency=300))
    assert outcomes == [b"content"] * 300
    assert len(server.requests()) == 900


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_is_an_error_after_six_attempts(server: S3Server, s3_prefix: str, fault: Fault) -> None:
    storage.replace(f"{s3_prefix}/there", b"content")
    server.forget()
    server.fail_next(*[fault] * 40)
    with pytest.raises(
        StorageError, match=r"the store was too busy after all retries|did not answer|the store answered"
    ):
        storage.read_bytes(f"{s3_prefix}/there")
    # aiohttp itself asks again where a kept connection is cut.
    assert 6 <= len(server.requests()) <= (12 if fault.resets else 6)


LOST = [
    pytest.param(Fault("500 Internal Server Error", after=True), id="500"),
    pytest.param(Fault("503 Service Unavailable", after=True), id="503"),
    pytest.param(Fault("429 Too Many Requests", after=True), id="429"),
    pytest.param(Fault("", after=True, resets=True), id="reset"),
]
"""The write happened; its answer was lost."""


@pytest.mark.parametrize("fault", LOST)
def test_a_create_whose_answer_was_lost_is_known_as_ours(server: S3Server, s3_prefix: str, fault: Fault) -> None:
    server.fail_next(fault)
    assert storage.create(f"{s3_prefix}/a", b"mine")
    assert [request.method for request in server.requests()] == ["PUT", "PUT", "HEAD"]
    assert storage.read_bytes(f"{s3_prefix}/a") == b"mine"


@pytest.mark.parametrize("fault", LOST)
def test_a_create_of_the_same_bytes_by_somebody_else_is_not_ours(
    server: S3Server, s3_prefix: str, fault: Fault
) -> None:
    storage.replace(f"{s3_prefix}/a", b"the same")
    server.fail_next(fault)
    assert not storage.create(f"{s3_prefix}/a", b"the same")


@pytest.mark.parametrize("fault", LOST)
def test_the_question_whose_it_is_is_repeated_too(server: S3Server, s3_prefix: str, fault: Fault) -> None:
    busy = answer("503 Slow Down", "SlowDown")
    server.fail_next(fault, busy, busy)
    assert storage.create(f"{s3_prefix}/a", b"mine")


def test_a_create_that_is_lost_on_the_way_is_repeated(server: S3Server, s3_prefix: str) -> None:
    server.fail_next(Fault("", resets=True), answer("503 Slow Down", "SlowDown"), Fault("", after=True, resets=True))
    assert storage.create(f"{s3_prefix}/a", b"mine")
    assert [request.method for request in server.requests()] == ["PUT"] * 4 + ["HEAD"]


def test_an_answer_that_is_slow_but_comes_is_waited_for(server: S3Server, s3_prefix: str) -> None:
    storage.replace(f"{s3_prefix}/a", b"x")
    server.forget()
    server.delay_s = 0.5
    try:
        assert list(storage.read_many([f"{s3_prefix}/a"] * 8, concurrency=8)) == [b"x"] * 8
    finally:
        server.delay_s = 0.0
    assert len(server.requests()) == 8


@pytest.mark.parametrize("sent", [0, 3, 6], ids=str)
def test_a_body_that_is_cut_is_asked_for_again(server: S3Server, s3_prefix: str, sent: int) -> None:
    storage.replace(f"{s3_prefix}/a", b"content")
    server.forget()
    cut = Fault("200 OK", b"content"[:sent], declared_bytes=7)
    server.fail_next(cut, cut)
    assert storage.read_bytes(f"{s3_prefix}/a") == b"content"
    assert len(server.requests()) == 3


def test_many_reads_through_faults_cost_one_request_each_and_one_for_each_fault(
    server: S3Server, s3_prefix: str
) -> None:
    uris = server.fill(s3_prefix, [f"{index:04}" for index in range(200)], b"content")
    server.forget()
    server.fault_every = 7, answer("503 Slow Down", "SlowDown")
    assert list(storage.read_many(uris, concurrency=16)) == [b"content"] * 200
    assert 200 + 200 // 7 <= len(server.requests()) <= 200 + 200 // 5


def test_a_listing_page_that_is_refused_is_asked_for_again(server: S3Server, s3_prefix: str) -> None:
    uris = server.fill(s3_prefix, [f"{index:04}" for index in range(1500)])
    busy = answer("503 Slow Down", "SlowDown")
    server.forget()
    server.fail_next(busy)
    infos = storage.list_objects(s3_prefix)
    first = next(infos)
    server.fail_next(busy, busy)
    assert [first.uri, *(info.uri for info in infos)] == uris


# A policy without the right to delete


def test_without_the_right_to_delete_it_is_said_what_to_allow(server: S3Server, s3_prefix: str) -> None:
    storage.replace(f"{s3_prefix}/a", b"x")
    server.denied = frozenset({"DELETE"})
    with pytest.raises(StorageError, match="permission was denied; allow it in the bucket's policy"):
        storage.delete_many([f"{s3_prefix}/a"])


# The first question


@pytest.mark.parametrize("fault", [case for case in PASSING if case.id != "reset"])
def test_a_store_that_is_busy_is_there(server: S3Server, s3_prefix: str, fault: Fault) -> None:
    if fault.status.startswith("400"):
        pytest.skip("a refusal")
    server.fail_next(fault)
    storage.check_reachable(s3_prefix)
    assert len(server.requests()) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param(Fault("", resets=True), "the endpoint did not answer; check AWS_ENDPOINT_URL", id="reset"),
        pytest.param(answer("404 Not Found", "NoSuchBucket"), "there is no such bucket", id="bucket"),
        pytest.param(answer("403 Forbidden", "AccessDenied"), "permission was denied", id="denied"),
        pytest.param(answer("403 Forbidden", "InvalidAccessKeyId"), "does not accept the credentials", id="keys"),
        pytest.param(Fault("200 OK", delay_s=3.0), "the endpoint did not answer; check AWS_ENDPOINT_URL", id="silent"),
    ],
)
def test_a_store_that_cannot_be_used_is_found_out_at_once(
    server: S3Server, s3_prefix: str, fault: Fault, words: str
) -> None:
    server.fail_next(fault, fault)
    started_s = time.monotonic()
    with pytest.raises(StorageError, match=words):
        storage.check_reachable(s3_prefix, timeout_s=0.5)
    assert time.monotonic() - started_s < 2.9
    assert len(server.requests()) <= 2  # aiohttp itself asks again where the connection is cut
