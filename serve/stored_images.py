"""Images that a request names instead of sending: only below prefixes that the service allows.

Refused before anything is fetched: names that climb (``..``), that carry credentials, a query or a second address
(``::`` chains file systems), and every scheme that follows redirects. A local name is followed through its links
first, so that a link out of the folder does not lead out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from inference_core import storage
from inference_core.errors import ConfigError, FetchError, InputError, StorageError, TooLargeError
from serve.errors import ForbiddenError

REDIRECTING = frozenset({"http", "https", "ftp", "ftps", "sftp", "ssh", "data", "github", "webhdfs"})
"""Schemes whose servers can send a reader elsewhere, or that name whole other machines."""
_REFUSED = ("::", "?", "#", "%2e", "%2E", "%2f", "%2F", "\\")


class StoredImages:
    """Reads images by URI.

    Args:
        allow: prefixes of URIs; none refuses all.
        max_bytes: of one image.

    Raises:
        ConfigError: a prefix cannot be allowed.
    """

    def __init__(self, allow: Sequence[str], *, max_bytes: int) -> None:
        self._prefixes = tuple(read_prefix(prefix) for prefix in allow)
        self._max_bytes = max_bytes

    def check(self, uri: str) -> str:
        """The URI in its normal form, where it may be read.

        Raises:
            ForbiddenError: it may not. The message is the same whether something is there or not.
        """
        found = resolve(uri)
        if found is None or not any(found.startswith(prefix) for prefix in self._prefixes):
            raise ForbiddenError(
                "uri must lie below a prefix that this service allows (security.storage_allow), got another; send the "
                "image's bytes instead"
            )
        return found

    def read(self, uri: str) -> bytes:
        """The bytes of a checked URI. Blocks.

        Raises:
            TooLargeError: over the limit.
            FetchError: it could not be read; the message has no more than the URI's own last name.
        """
        name = uri.rpartition("/")[2]
        try:
            return storage.read_bytes(uri, max_bytes=self._max_bytes)
        except TooLargeError as exc:
            raise TooLargeError(
                f"size in bytes must be at most {self._max_bytes}, got more in {name!r}; name a smaller image"
            ) from exc
        except (StorageError, InputError) as exc:
            raise FetchError(f"uri must name an object that can be read, got none at {name!r}; check the name") from exc


def read_prefix(prefix: str) -> str:
    """A prefix of the settings as URIs are compared with it: it ends with a slash, so names beside it do not match.

    Raises:
        ConfigError: it cannot be allowed.
    """
    found = resolve(prefix)
    if found is None:
        raise ConfigError(
            f"must be a folder or an s3://, gs:// or az:// prefix without '..', a query or credentials, got "
            f"{storage.mask_secrets(prefix)!r}; correct it",
            key="security.storage_allow",
        )
    return found if found.endswith("/") else f"{found}/"


def resolve(uri: str) -> str | None:
    """A URI in one form that says truly where it leads; None where it cannot be trusted to."""
    if not uri.isprintable() or any(mark in uri for mark in _REFUSED):
        return None
    scheme = storage.scheme_of(uri)
    if scheme in REDIRECTING or (scheme == "file" and not uri.startswith(("/", "file:///"))):
        return None
    try:
        normal = storage.normalise(uri)
    except StorageError:
        return None
    rest = normal.partition("://")[2]
    if "@" in rest.partition("/")[0] or any(name in (".", "..") for name in _names(uri)):
        return None
    if scheme == "file":
        return f"file://{Path(storage.local_path(normal)).resolve()}"
    return normal if "//" not in rest.rstrip("/") else None


def _names(uri: str) -> list[str]:
    return uri.partition("://")[2].split("/") if "://" in uri else uri.split("/")
