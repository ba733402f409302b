"""File systems that fsspec brings: memory, and HTTP from a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest

from inference_core import storage
from inference_core.errors import MissingObjectError, StorageError, TooLargeError


@pytest.fixture
def memory() -> str:
    return f"memory://{uuid4().hex}"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "a.jpg").write_bytes(b"0123456789")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_memory_round_trip(memory: str) -> None:
    for path in ("b/x", "a", "_c"):
        storage.replace(storage.join(memory, path), path.encode())
    infos = list(storage.list_objects(memory))
    assert [info.path for info in infos] == ["_c", "a", "b/x"]
    assert list(storage.read_many(info.uri for info in infos)) == [b"_c", b"a", b"b/x"]
    assert [info.path for info in storage.list_objects(memory, recursive=False)] == ["_c", "a"]
    assert all(info.mtime_s > 1.6e9 for info in infos)
    assert storage.exists(f"{memory}/a")
    assert not storage.exists(f"{memory}/b")
    storage.delete_many([f"{memory}/a", f"{memory}/absent"])
    assert [info.path for info in storage.list_objects(memory)] == ["_c", "b/x"]
    assert list(storage.list_objects(f"{memory}/_c")) == []


def test_memory_streams(memory: str) -> None:
    with storage.open_for_write(f"{memory}/a") as file:
        file.write(b"123")
        assert not storage.exists(f"{memory}/a")
    with storage.open_for_read(f"{memory}/a") as file:
        file.seek(1)
        assert file.read() == b"23"


def test_a_failed_memory_stream_leaves_what_was_there(memory: str) -> None:
    storage.replace(f"{memory}/a", b"old")
    with pytest.raises(KeyError), storage.open_for_write(f"{memory}/a") as file:  # noqa: PT012 - the body is what fails
        file.write(b"new")
        raise KeyError
    assert storage.read_bytes(f"{memory}/a") == b"old"


def test_limits_and_errors_stand_in_their_place(memory: str) -> None:
    storage.replace(f"{memory}/a", b"123")
    (whole,) = storage.read_many([f"{memory}/a"], max_bytes=3)
    large, absent = storage.read_many([f"{memory}/a", f"{memory}/b"], max_bytes=2)
    assert whole == b"123"
    assert isinstance(large, TooLargeError)
    assert isinstance(absent, MissingObjectError)


def test_create_is_refused_where_it_is_not_safe(memory: str) -> None:
    with pytest.raises(StorageError, match="output must be on a local folder or s3://, got memory://"):
        storage.create(f"{memory}/a", b"")


def test_images_are_read_from_a_web_server(web: str) -> None:
    uris = [f"{web}/a.jpg", f"{web}/absent.jpg"]
    for max_bytes in (None, 10):
        whole, absent = storage.read_many(uris, max_bytes=max_bytes)
        assert whole == b"0123456789"
        assert isinstance(absent, MissingObjectError)
    (large,) = storage.read_many(uris[:1], max_bytes=9)
    assert isinstance(large, TooLargeError)


def test_a_server_that_is_not_there_says_so_without_secrets() -> None:
    (outcome,) = storage.read_many(["http://me:secret@127.0.0.1:9/a?sig=secret"])
    assert isinstance(outcome, StorageError)
    assert "secret" not in str(outcome)
    assert "secret" not in outcome.uri


def test_a_driver_that_is_not_installed_is_named() -> None:
    with pytest.raises(StorageError, match=r"cannot access 'gs://b/a': its driver is not installed; .*gcsfs"):
        storage.read_bytes("gs://b/a")
