"""Every other fsspec file system: ``memory://``, ``http://``, ``gs://``, ``abfs://`` and so on.

What is possible depends on the driver. Listings are held whole, and there is no create-only write: fsspec promises
none that is decided by the store, so a run's output goes to a local folder or to ``s3://``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from tempfile import NamedTemporaryFile
from typing import Any, BinaryIO, cast

import fsspec

from inference_core.errors import MillraceError, MissingObjectError, StorageError, TooLargeError
from inference_core.storage.ordered import map_in_order
from inference_core.storage.store import ObjectInfo, ReadOutcome
from inference_core.storage.uris import mask_secrets, scheme_of


def read(uri: str, *, max_bytes: int | None) -> bytes:
    """The whole object."""
    with _translated(uri):
        fs, path = fsspec.core.url_to_fs(uri)
        if max_bytes is None:
            return cast(bytes, fs.cat_file(path))
        with fs.open(path, "rb") as file:
            data = cast(bytes, file.read(max_bytes + 1))
    if len(data) > max_bytes:
        shown = mask_secrets(uri)
        raise TooLargeError(f"object must be at most {max_bytes} bytes, got a larger one at {shown!r}", uri=shown)
    return data


def read_many(uris: Iterable[str], *, concurrency: int, max_bytes: int | None) -> Iterator[ReadOutcome]:
    """The objects in order, read by ``concurrency`` threads."""
    with ThreadPoolExecutor(concurrency, thread_name_prefix="read") as pool:
        yield from map_in_order(
            lambda uri: pool.submit(_outcome, uri, max_bytes=max_bytes), uris, concurrency=concurrency
        )


def create(uri: str, data: bytes, *, durable: bool) -> bool:
    """Refused, as said above."""
    raise StorageError(
        f"output must be on a local folder or s3://, got {scheme_of(uri)}://; it has no create-only write that is safe",
        uri=mask_secrets(uri),
    )


def replace(uri: str, data: bytes, *, durable: bool) -> None:
    """Put the object; as atomic as the driver's upload."""
    with _translated(uri):
        fs, path = fsspec.core.url_to_fs(uri)
        fs.pipe_file(path, data)


def list_objects(uri_prefix: str, *, recursive: bool) -> Iterator[ObjectInfo]:
    """The objects below a prefix."""
    with _translated(uri_prefix):
        fs, root = fsspec.core.url_to_fs(uri_prefix)
        found = fs.find(root, maxdepth=None if recursive else 1, detail=True)
    prefix = root.rstrip("/") + "/"
    # find gives an object that stands at the prefix itself; it is not below it.
    below = [info for name, info in found.items() if name.startswith(prefix)]
    for info in sorted(below, key=lambda info: info["name"].encode()):
        yield _object_info(fs, info, prefix=prefix)


def exists(uri: str) -> bool:
    """Whether an object is there."""
    with _translated(uri):
        fs, path = fsspec.core.url_to_fs(uri)
        return bool(fs.isfile(path))


def delete_many(uris: Iterable[str]) -> None:
    """Remove objects one by one."""
    failures = [error for uri in uris if (error := _delete(uri)) is not None]
    if failures:
        raise failures[0]


@contextmanager
def open_for_read(uri: str) -> Iterator[BinaryIO]:
    """A file with random access."""
    with _translated(uri):
        fs, path = fsspec.core.url_to_fs(uri)
        file = fs.open(path, "rb")
    with file:
        yield cast(BinaryIO, file)


@contextmanager
def open_for_write(uri: str) -> Iterator[BinaryIO]:
    """A local file that is uploaded when it is complete: drivers differ in what they do with a part."""
    with NamedTemporaryFile() as file:
        yield cast(BinaryIO, file)
        file.flush()
        with _translated(uri):
            fs, path = fsspec.core.url_to_fs(uri)
            fs.put_file(file.name, path)


def remove_unfinished(uri_prefix: str, *, min_age_s: float) -> int:
    """Nothing that this module could find."""
    return 0


def check_reachable(uri_prefix: str, *, timeout_s: float) -> None:
    """Nothing that all drivers could be asked; the first use tells."""


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Raise what drivers raise as StorageError: they come from many hands and have no common base of errors."""
    shown = mask_secrets(uri)
    try:
        yield
    except MillraceError:
        raise
    except FileNotFoundError as error:
        raise MissingObjectError(f"nothing is stored at {shown!r}; check the URI", uri=shown) from error
    except PermissionError as error:
        raise StorageError(
            f"cannot access {shown!r}: permission was denied; check the credentials", uri=shown
        ) from error
    except ImportError as error:
        raise StorageError(f"cannot access {shown!r}: its driver is not installed; {error}", uri=shown) from error
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith("Protocol not known"):
            raise StorageError(
                f"uri must have a known scheme, got {shown!r}; write a path, s3://, or a scheme that fsspec knows",
                uri=shown,
            ) from error
        reason = mask_secrets(f"{type(error).__name__}: {error}")
        raise StorageError(f"cannot access {shown!r}: {reason}", uri=shown) from error


def _outcome(uri: str, *, max_bytes: int | None) -> ReadOutcome:
    try:
        return read(uri, max_bytes=max_bytes)
    except (StorageError, TooLargeError) as error:
        return error


def _delete(uri: str) -> StorageError | None:
    try:
        with _translated(uri):
            fs, path = fsspec.core.url_to_fs(uri)
            fs.rm_file(path)
    except MissingObjectError:
        return None
    except StorageError as error:
        return error
    return None


def _object_info(fs: Any, info: dict[str, Any], *, prefix: str) -> ObjectInfo:
    return ObjectInfo(
        uri=fs.unstrip_protocol(info["name"]),
        path=info["name"][len(prefix) :],
        size_bytes=int(info.get("size") or 0),
        etag=str(info.get("ETag") or info.get("etag") or "").strip('"'),
        mtime_s=_mtime_s(info),
    )


def _mtime_s(info: dict[str, Any]) -> float:
    """The time of the last change under whichever of its names the driver gives it, 0 where it gives none."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return 0.0
