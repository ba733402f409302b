"""What the operating system says about a file, as a StorageError with a remedy."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from inference_core.errors import MissingObjectError, StorageError
from inference_core.storage.uris import mask_secrets

_REMEDIES = {
    errno.EACCES: "permission was denied; check the owner and mode of the file and of the folders above it",
    errno.EPERM: "permission was denied; check the owner and mode of the file and of the folders above it",
    errno.ENOSPC: "the disk is full; free space or write to another place",
    errno.EDQUOT: "the disk quota is used up; free space or write to another place",
    errno.EROFS: "the file system is read-only; write to another place",
    errno.EISDIR: "it is a folder; name a file in it",
    errno.ENOTDIR: "a file stands where a folder is needed; rename one of them",
    errno.ENAMETOOLONG: "the name is too long for the file system; shorten it",
    errno.EMFILE: "too many files are open; lower the concurrency or raise `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine; close some",
    errno.ELOOP: "its links lead in a circle; correct them",
    errno.EIO: "the disk gave an input/output error; check the hardware or the mount",
    errno.ESTALE: "the network mount is stale; mount it again",
    errno.EOPNOTSUPP: "the file system does not support it; write to another file system or to s3://",
}
_MISSING = (errno.ENOENT, errno.ENXIO)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Raise the operating system's errors as StorageError and MissingObjectError of ``uri``."""
    try:
        yield
    except OSError as error:
        raise translate_os_error(error, uri=uri) from error
    except ValueError as error:
        # A NUL or a lone surrogate, which no file name can hold.
        raise StorageError(f"uri must be valid Unicode without NUL, got {uri!r}; rename the file", uri=uri) from error


def translate_os_error(error: OSError, *, uri: str) -> StorageError:
    """The error with its cause and remedy in one sentence."""
    shown = mask_secrets(uri)
    if isinstance(error, FileNotFoundError) or error.errno in _MISSING:
        return MissingObjectError(f"nothing is stored at {shown!r}; check the path", uri=shown)
    if isinstance(error, NotADirectoryError):
        return MissingObjectError(f"nothing is stored at {shown!r}: {_REMEDIES[errno.ENOTDIR]}", uri=shown)
    remedy = _REMEDIES.get(error.errno or 0, mask_secrets(error.strerror or str(error)))
    return StorageError(f"cannot access {shown!r}: {remedy}", uri=shown)
