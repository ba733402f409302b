"""What holds for S3 only: requests are counted and made to fail on a real server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from inference_core import storage
from inference_core.errors import MissingObjectError, StorageError, TooLargeError
from tests.s3_loopback import Fault, S3Server

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def server(s3_server: S3Server) -> Iterator[S3Server]:
    s3_server.forget()
    yield s3_server
    s3_server.forget()


def methods(server: S3Server) -> list[str]:
    return [request.method for request in server.requests()]


def put(server: S3Server, prefix: str, count: int) -> list[str]:
    uris = [f"{prefix}/{index:04}" for index in range(count)]
    for uri in uris:
        storage.replace(uri, uri.encode())
    server.forget()
    return uris


def test_read_many_costs_one_get_per_object(server: S3Server, s3_prefix: str) -> None:
    uris = put(server, s3_prefix, 60)
    assert list(storage.read_many([*uris, f"{s3_prefix}/absent"], concurrency=16))[:60] == [u.encode() for u in uris]
    assert methods(server) == ["GET"] * 61
    assert sorted(f"s3:/{request.path}" for request in server.requests())[:60] == uris
    assert {request.query for request in server.requests()} <= {"", "x-id=GetObject"}


def test_reading_with_a_limit_costs_one_get_too(server: S3Server, s3_prefix: str) -> None:
    (uri,) = put(server, s3_prefix, 1)
    storage.replace(f"{s3_prefix}/empty", b"")
    server.forget()
    assert storage.read_bytes(uri, max_bytes=1000) == uri.encode()
    assert storage.read_bytes(f"{s3_prefix}/empty", max_bytes=0) == b""
    with pytest.raises(TooLargeError, match=f"at most 5 bytes, got {len(uri)}"):
        storage.read_bytes(uri, max_bytes=5)
    assert methods(server) == ["GET"] * 3


@pytest.mark.parametrize("concurrency", [1, 8])
def test_that_many_requests_are_in_flight(server: S3Server, s3_prefix: str, concurrency: int) -> None:
    uris = server.fill(s3_prefix, [str(index) for index in range(24)])
    server.delay_s = 0.05
    server.forget()
    try:
        assert list(storage.read_many(uris, concurrency=concurrency)) == [b""] * 24
    finally:
        server.delay_s = 0.0
    assert server.max_in_flight == concurrency


def test_writes_are_one_request(server: S3Server, s3_prefix: str) -> None:
    storage.create(f"{s3_prefix}/a", b"x")
    storage.replace(f"{s3_prefix}/b", b"x")
    with storage.open_for_write(f"{s3_prefix}/c") as file:
        file.write(b"x")
    assert methods(server) == ["PUT"] * 3


def test_listing_is_paged_and_streamed(server: S3Server, s3_prefix: str) -> None:
    uris = server.fill(s3_prefix, [f"{index:04}" for index in range(2100)])
    infos = storage.list_objects(s3_prefix)
    first = next(infos)
    assert first.uri == uris[0]
    assert len(server.requests("GET")) <= 2  # this page and, under way, the next
    assert [first.uri, *(info.uri for info in infos)] == uris
    assert methods(server) == ["GET"] * 3
    server.forget()
    storage.delete_many(uris)
    assert methods(server) == ["POST"] * 3
    assert list(storage.list_objects(s3_prefix)) == []


def test_folder_markers_are_not_objects_but_content_is(s3_prefix: str) -> None:
    for key, data in (("a/", b""), ("b/", b"content"), ("c//d", b"")):
        storage.replace(f"{s3_prefix}/{key}", data)
    assert [info.path for info in storage.list_objects(s3_prefix)] == ["b/", "c//d"]


def test_a_whole_bucket_is_listed(s3_server: S3Server) -> None:
    bucket = s3_server.make_bucket("millrace-whole")
    storage.replace(f"{bucket}/a/b", b"")
    assert [info.path for info in storage.list_objects(bucket)] == ["a/b"]
    assert [info.path for info in storage.list_objects(f"{bucket}/")] == ["a/b"]


BUSY = Fault("503 Slow Down", b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>")


def test_a_busy_store_is_asked_again(server: S3Server, s3_prefix: str) -> None:
    uris = put(server, s3_prefix, 1)
    server.fail_next(BUSY, BUSY)
    assert storage.read_bytes(uris[0]) == uris[0].encode()
    assert methods(server) == ["GET"] * 3


def test_a_body_that_breaks_off_is_asked_for_again(server: S3Server, s3_prefix: str) -> None:
    uris = put(server, s3_prefix, 1)
    server.fail_next(Fault("200 OK", b"half", declared_bytes=1000))
    assert storage.read_bytes(uris[0]) == uris[0].encode()
    assert methods(server) == ["GET"] * 2


def test_a_body_that_always_breaks_off_is_an_error_of_its_object(server: S3Server, s3_prefix: str) -> None:
    uris = put(server, s3_prefix, 2)
    server.fail_next(*[Fault("200 OK", b"half", declared_bytes=1000)] * 4)
    broken, whole = storage.read_many(uris, concurrency=1)
    assert isinstance(broken, StorageError)
    assert "the endpoint did not answer after all retries" in str(broken)
    assert whole == uris[1].encode()


def test_a_create_whose_answer_was_lost_is_known_as_ours(server: S3Server, s3_prefix: str) -> None:
    server.fail_next(Fault("500 Internal Server Error", after=True))
    assert storage.create(f"{s3_prefix}/a", b"mine")
    assert methods(server) == ["PUT", "PUT", "HEAD"]
    assert not storage.create(f"{s3_prefix}/a", b"mine")


def test_a_create_that_meets_another_write_is_repeated(server: S3Server, s3_prefix: str) -> None:
    conflict = Fault("409 Conflict", b"<Error><Code>ConditionalRequestConflict</Code><Message>x</Message></Error>")
    server.fail_next(conflict, conflict)
    assert storage.create(f"{s3_prefix}/a", b"x")
    assert methods(server) == ["PUT"] * 3
    storage.delete_many([f"{s3_prefix}/a"])
    server.fail_next(*[conflict] * 6)
    with pytest.raises(StorageError, match="the store was too busy after all retries"):
        storage.create(f"{s3_prefix}/a", b"x")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("403 Forbidden", "AccessDenied", "permission was denied; allow it in the bucket's policy"),
        ("403 Forbidden", "InvalidAccessKeyId", "the store does not accept the credentials; check AWS_ACCESS_KEY_ID"),
        ("403 Forbidden", "SignatureDoesNotMatch", "the store does not accept the credentials"),
        ("400 Bad Request", "ExpiredToken", "the credentials have expired; fetch new ones"),
        ("404 Not Found", "NoSuchBucket", "there is no such bucket; check its name and AWS_ENDPOINT_URL"),
        ("403 Forbidden", "InvalidObjectState", "the object is archived; restore it first"),
        ("400 Bad Request", "Unheard", r"the store answered Unheard \(400\)"),
    ],
)
def test_refusals_have_a_remedy(server: S3Server, s3_prefix: str, status: str, code: str, words: str) -> None:
    server.fail_next(Fault(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode()))
    with pytest.raises(StorageError, match=f"cannot access 's3://.*/a': {words}") as caught:
        storage.read_bytes(f"{s3_prefix}/a")
    assert not isinstance(caught.value, MissingObjectError)
    assert caught.value.uri == f"{s3_prefix}/a"


def test_a_store_without_conditional_writes_says_so(server: S3Server, s3_prefix: str) -> None:
    fault = Fault("501 Not Implemented", b"<Error><Code>NotImplemented</Code><Message>m</Message></Error>")
    server.fail_next(*[fault] * 6)
    with pytest.raises(StorageError, match="create-only writes need `If-None-Match: \\*`"):
        storage.create(f"{s3_prefix}/a", b"")


@pytest.mark.parametrize("operation", ["read", "create", "replace", "list", "exists", "delete", "open", "write"])
def test_a_wrong_bucket_is_named_by_every_operation(s3_server: S3Server, operation: str) -> None:
    uri = "s3://millrace-no-such-bucket/a"

    def write() -> None:
        with storage.open_for_write(uri) as file:
            file.write(b"x")

    operations = {
        "read": lambda: storage.read_bytes(uri),
        "create": lambda: storage.create(uri, b""),
        "replace": lambda: storage.replace(uri, b""),
        "list": lambda: list(storage.list_objects(uri)),
        "delete": lambda: storage.delete_many([uri]),
        "open": lambda: storage.open_for_read(uri).__enter__(),
        "write": write,
        "exists": lambda: storage.exists(uri),
    }
    if operation == "exists":
        # HEAD has no body that could tell a bucket from an object.
        assert not storage.exists(uri)
        return
    with pytest.raises(StorageError, match=r"no such bucket|nothing is stored"):
        operations[operation]()


@pytest.mark.parametrize("uri", ["s3://a_b!/x", "s3://bucket", "s3://bucket/" + "k" * 1025])
def test_a_name_that_s3_refuses_is_an_error_of_its_object(s3_server: S3Server, uri: str) -> None:
    (outcome,) = storage.read_many([uri])
    assert isinstance(outcome, StorageError)


def run_script(code: str, **environment: str) -> str:
    """Run code in a process whose AWS settings are only those given."""
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


READ_ONE = """
    from inference_core import storage
    (outcome,) = storage.read_many(["s3://bucket/key"])
    print(outcome)
"""


def test_no_credentials_says_what_to_set(s3_server: S3Server) -> None:
    printed = run_script(READ_ONE, AWS_ENDPOINT_URL=s3_server.endpoint)
    assert "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in printed
    assert "FSSPEC_S3_ANON=true" in printed


def test_the_setting_for_public_buckets_works(s3_server: S3Server) -> None:
    printed = run_script(READ_ONE, AWS_ENDPOINT_URL=s3_server.endpoint, FSSPEC_S3_ANON="true")
    assert "there is no such bucket" in printed


def test_an_endpoint_that_does_not_answer_says_so() -> None:
    printed = run_script(
        READ_ONE,
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_MAX_ATTEMPTS="2",
    )
    assert "the endpoint did not answer after all retries; check AWS_ENDPOINT_URL" in printed


def test_a_profile_that_does_not_exist_says_so(s3_server: S3Server) -> None:
    printed = run_script(READ_ONE, AWS_ENDPOINT_URL=s3_server.endpoint, AWS_PROFILE="absent")
    assert "the credentials could not be fetched; check AWS_PROFILE" in printed


def test_a_forked_child_makes_its_own_client(s3_prefix: str) -> None:
    storage.replace(f"{s3_prefix}/a", b"x")
    code = f"""
        import os
        from inference_core import storage
        assert storage.read_bytes("{s3_prefix}/a") == b"x"
        child = os.fork()
        if child == 0:
            os._exit(list(storage.read_many(["{s3_prefix}/a"] * 50)) != [b"x"] * 50)
        assert os.waitpid(child, 0)[1] == 0
        assert storage.read_bytes("{s3_prefix}/a") == b"x"
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_changed_environment_makes_a_new_client(
    s3_prefix: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.replace(f"{s3_prefix}/a", b"x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError, match="the endpoint did not answer"):
        storage.read_bytes(f"{s3_prefix}/a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    assert storage.read_bytes(f"{s3_prefix}/a") == b"x"


def test_delete_many_reports_what_the_store_refused(server: S3Server, s3_prefix: str) -> None:
    refused = (
        b'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Error><Key>a</Key>'
        b"<Code>AccessDenied</Code><Message>m</Message></Error></DeleteResult>"
    )
    server.fail_next(Fault("200 OK", refused))
    with pytest.raises(StorageError, match=r"cannot access 's3://.*/a': permission was denied"):
        storage.delete_many([f"{s3_prefix}/a"])


def test_a_store_that_ignores_the_condition_is_found_out(server: S3Server, s3_prefix: str) -> None:
    storage.check_create_only(s3_prefix)
    server.ignores_conditions = True
    try:
        with pytest.raises(StorageError, match="store must honour create-only writes, got a second write accepted"):
            storage.check_create_only(s3_prefix)
    finally:
        server.ignores_conditions = False
    assert list(storage.list_objects(s3_prefix)) == []


def test_uploads_that_a_killed_writer_left_are_aborted(server: S3Server, s3_prefix: str) -> None:
    code = f"""
        import os
        from inference_core import storage
        with storage.open_for_write("{s3_prefix}/run/part") as file:
            file.write(b"x" * 60_000_000)
            os._exit(0)
    """
    subprocess.run([sys.executable, "-c", dedent(code)], cwd=REPOSITORY, check=True)
    assert list(storage.list_objects(s3_prefix)) == []
    # moto says of every upload that it was begun in 2010.
    assert storage.remove_unfinished(f"{s3_prefix}/run", min_age_s=time.time() - 1e9) == 0
    assert storage.remove_unfinished(f"{s3_prefix}/ru") == 0
    assert storage.remove_unfinished(f"{s3_prefix}/run") == 1
    assert storage.remove_unfinished(f"{s3_prefix}/run") == 0
