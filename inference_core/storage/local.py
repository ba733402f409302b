"""Files on this machine or on a network file system that is mounted here."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from inference_core.errors import StorageError, TooLargeError
from inference_core.storage.local_errors import translated
from inference_core.storage.local_tree import list_objects as list_objects
from inference_core.storage.local_write import create as create
from inference_core.storage.local_write import open_for_write as open_for_write
from inference_core.storage.local_write import remove_unfinished as remove_unfinished
from inference_core.storage.local_write import replace as replace
from inference_core.storage.ordered import map_in_order
from inference_core.storage.store import ReadOutcome
from inference_core.storage.uris import local_path

SLOW_READ_S = 0.002
"""A read over this came from a cold disk or a network; below it, handing work to threads costs more than it gains."""


def read(uri: str, *, max_bytes: int | None) -> bytes:
    """The whole file."""
    path = local_path(uri)
    with translated(uri):
        # Non-blocking, so that opening a pipe that lies among the images does not wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _read_fd(fd, uri=uri, max_bytes=max_bytes)
        finally:
            os.close(fd)


def read_many(uris: Iterable[str], *, concurrency: int, max_bytes: int | None) -> Iterator[ReadOutcome]:
    """Read in the caller's thread for as long as that is fast, then in a pool of ``concurrency`` threads.

    Measured on files of 100 kB in the page cache: 80,000 a second in one thread, 15,000 in sixteen.
    """
    remaining = iter(uris)
    for uri in remaining:
        started_s = time.perf_counter()
        outcome = _outcome(uri, max_bytes=max_bytes)
        is_slow = time.perf_counter() - started_s > SLOW_READ_S
        yield outcome
        if is_slow and concurrency > 1:
            break
    else:
        return
    with ThreadPoolExecutor(concurrency, thread_name_prefix="read") as pool:
        yield from map_in_order(
            lambda uri: pool.submit(_outcome, uri, max_bytes=max_bytes), remaining, concurrency=concurrency
        )


def exists(uri: str) -> bool:
    """Whether a regular file is there."""
    with translated(uri):
        try:
            return stat.S_ISREG(Path(local_path(uri)).stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


def delete_many(uris: Iterable[str]) -> None:
    """Remove files."""
    failures = [error for uri in uris if (error := _delete(uri)) is not None]
    if failures:
        raise failures[0]


def check_reachable(uri_prefix: str, *, timeout_s: float) -> None:
    """Nothing: files are asked directly."""


@contextmanager
def open_for_read(uri: str) -> Iterator[BinaryIO]:
    """The open file."""
    with translated(uri):
        file = Path(local_path(uri)).open("rb")  # noqa: SIM115 - closed below; only the opening is translated
    with file:
        yield file


def _outcome(uri: str, *, max_bytes: int | None) -> ReadOutcome:
    try:
        return read(uri, max_bytes=max_bytes)
    except (StorageError, TooLargeError) as error:
        return error


def _read_fd(fd: int, *, uri: str, max_bytes: int | None) -> bytes:
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode):
        raise StorageError(f"uri must name a regular file, got a {_kind(info.st_mode)} at {uri!r}", uri=uri)
    if max_bytes is not None and info.st_size > max_bytes:
        raise _too_large(uri, max_bytes=max_bytes)
    data = os.read(fd, info.st_size + 1)
    if len(data) != info.st_size or not data:
        data = _read_rest(fd, data, max_bytes=max_bytes)
    if max_bytes is not None and len(data) > max_bytes:
        raise _too_large(uri, max_bytes=max_bytes)
    return data


def _read_rest(fd: int, data: bytes, *, max_bytes: int | None) -> bytes:
    """The rest of a file that changes, is over 2 GB, or has no size (/proc), to one byte over the limit."""
    chunks = [data]
    num_bytes = len(data)
    while max_bytes is None or num_bytes <= max_bytes:
        chunk = os.read(fd, 1 << 20 if max_bytes is None else min(1 << 20, max_bytes + 1 - num_bytes))
        if not chunk:
            break
        chunks.append(chunk)
        num_bytes += len(chunk)
    return b"".join(chunks)


def _too_large(uri: str, *, max_bytes: int) -> TooLargeError:
    return TooLargeError(f"object must be at most {max_bytes} bytes, got a larger one at {uri!r}", uri=uri)


def _kind(mode: int) -> str:
    return {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}.get(stat.S_IFMT(mode), "device")


def _delete(uri: str) -> StorageError | None:
    try:
        with translated(uri):
            Path(local_path(uri)).unlink(missing_ok=True)
    except StorageError as error:
        return error
    return None
