"""Writing local files so that a name never shows a part of its content."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from inference_core.errors import StorageError
from inference_core.storage.local_errors import translated
from inference_core.storage.uris import local_path

UNFINISHED_PREFIX = ".millrace-tmp-"
"""Names of files that are being written; what a killed process leaves behind has such a name too."""


def create(uri: str, data: bytes, *, durable: bool) -> bool:
    """Write a new file; the hard link decides who was first."""
    path = Path(local_path(uri))
    with translated(uri):
        if os.path.lexists(path):
            return False
        with _unfinished(path) as temp:
            _write(temp, data, durable=durable)
            is_created = _link(temp, path)
            if durable and is_created:
                _sync_folder(path.parent)
            return is_created


def replace(uri: str, data: bytes, *, durable: bool) -> None:
    """Write a file over whatever is there."""
    path = Path(local_path(uri))
    with translated(uri), _unfinished(path) as temp:
        _write(temp, data, durable=durable)
        temp.replace(path)
        if durable:
            _sync_folder(path.parent)


@contextmanager
def open_for_write(uri: str) -> Iterator[BinaryIO]:
    """A file that takes its name when the context ends well."""
    path = Path(local_path(uri))
    with translated(uri):
        temp = _unfinished_path(path)
        file = _open_new(temp)
    try:
        with file:
            yield file
            with translated(uri):
                file.flush()
                os.fsync(file.fileno())
        with translated(uri):
            temp.replace(path)
            _sync_folder(path.parent)
    finally:
        temp.unlink(missing_ok=True)


def remove_unfinished(uri_prefix: str, *, min_age_s: float) -> int:
    """Remove unfinished files that have not been written to for ``min_age_s``."""
    newest_s = time.time() - min_age_s
    num_removed = 0
    for folder, _, names in os.walk(local_path(uri_prefix)):
        for path in (Path(folder, name) for name in names if name.startswith(UNFINISHED_PREFIX)):
            with translated(str(path)), suppress(FileNotFoundError):
                if path.stat().st_mtime <= newest_s:
                    path.unlink()
                    num_removed += 1
    return num_removed


def _unfinished_path(path: Path) -> Path:
    return path.parent / f"{UNFINISHED_PREFIX}{secrets.token_hex(8)}"


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A new name beside ``path`` (a link cannot cross file systems), gone at the end."""
    temp = _unfinished_path(path)
    try:
        yield temp
    finally:
        with suppress(FileNotFoundError):
            temp.unlink()


def _write(temp: Path, data: bytes, *, durable: bool) -> None:
    with _open_new(temp) as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _open_new(temp: Path) -> BinaryIO:
    """Open a file that is not there yet, with the user's default mode; missing folders are made."""
    try:
        return temp.open("xb")
    except FileNotFoundError:
        _make_folder(temp.parent)
        return temp.open("xb")


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each with its name safe on disk."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _link(temp: Path, path: Path) -> bool:
    try:
        os.link(temp, path, follow_symlinks=False)
    except FileExistsError:
        # On NFS a link can succeed and its repeated request then fail: two names mean that it was ours.
        return temp.stat().st_nlink == 2
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        raise StorageError(
            f"file system must have hard links for create-only writes, got {error.strerror!r} at {path.as_uri()!r}; "
            "write to another file system or to s3://",
            uri=path.as_uri(),
        ) from error
    return True


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
