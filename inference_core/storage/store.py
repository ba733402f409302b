"""What a store can do, what it lists and what it answers, and which store serves a URI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from inference_core.errors import StorageError, TooLargeError
from inference_core.storage.uris import scheme_of

ReadOutcome = bytes | StorageError | TooLargeError
"""The answer for one of many reads: its bytes, or the error that a single read would have raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One listed object."""

    uri: str
    """Absolute URI, to be read as it is."""
    path: str
    """Posix path relative to the listed prefix."""
    size_bytes: int
    """Size; 0 for a link that leads nowhere, whose reading then fails."""
    etag: str
    """Changes when the content does: the store's tag, for local files time and size."""
    mtime_s: float
    """Last change in seconds since 1970, UTC."""


class Store(Protocol):
    """The operations of one kind of storage. Each is implemented by a module, so that nothing has to be pickled."""

    def read(self, uri: str, *, max_bytes: int | None) -> bytes:
        """The whole object."""

    def read_many(self, uris: Iterable[str], *, concurrency: int, max_bytes: int | None) -> Iterator[ReadOutcome]:
        """One outcome per URI, in order."""

    def create(self, uri: str, data: bytes, *, durable: bool) -> bool:
        """Write unless something is there."""

    def replace(self, uri: str, data: bytes, *, durable: bool) -> None:
        """Write over whatever is there."""

    def list_objects(self, uri_prefix: str, *, recursive: bool) -> Iterator[ObjectInfo]:
        """The objects below a prefix."""

    def exists(self, uri: str) -> bool:
        """Whether an object is there."""

    def delete_many(self, uris: Iterable[str]) -> None:
        """Remove objects; absent ones are no error."""

    def open_for_read(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """A file with random access."""

    def open_for_write(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """A file that appears when it is complete."""

    def remove_unfinished(self, uri_prefix: str, *, min_age_s: float) -> int:
        """Remove what killed writers left."""

    def check_reachable(self, uri_prefix: str, *, timeout_s: float) -> None:
        """Raise where the store does not answer or does not let us in."""


def open_store(uri: str) -> Store:
    """The store that serves the URI's scheme.

    Raises:
        StorageError: nothing installed serves it.
    """
    scheme = scheme_of(uri)
    # Imported where needed: s3fs takes a third of a second that local runs and `import inference_core` need not pay.
    if scheme == "file":
        from inference_core.storage import local

        return local
    if scheme == "s3":
        from inference_core.storage import s3

        return s3
    from inference_core.storage import other

    return other
