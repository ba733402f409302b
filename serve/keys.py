"""Who asks: keys of requests against their hashes, in constant time, each with a limit of its own."""

from __future__ import annotations

import hmac
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from inference_core.errors import ConfigError
from serve.config import SecurityConfig
from serve.errors import RateLimitError, UnauthorizedError
from serve.key_file import KeyEntry, hash_key, read_key_file
from serve.rate_limit import SharedBucket, TokenBucket

SCOPE_KEY = "millrace.key"
RELOAD_S = 2.0
"""A key that was added or removed counts after so long, without a restart."""
MAX_KEY_CHARS = 256
_BEARER = "bearer "

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """A request with a good key."""

    name: str
    bucket: TokenBucket | None

    def charge(self, count: int) -> None:
        """Count images.

        Raises:
            RateLimitError: they are too many for now.
        """
        wait_s = 0.0 if self.bucket is None or count < 1 else self.bucket.take(count)
        if wait_s:
            raise RateLimitError(
                f"key {self.name} must ask less often, got {count} more than it may for now; wait, or ask for a higher "
                "limit",
                retry_after_s=max(1, math.ceil(wait_s)),
            )


class KeyRing:
    """The keys of a service, read again when their file changes. Used on one event loop.

    Args:
        path: the file.
        folder: where the processes of a service share what each key may still ask; None for a process of its own.
        clock: seconds that never run backwards.

    Raises:
        ConfigError: the file is wrong, or holds no key.
    """

    def __init__(self, path: Path, *, folder: Path | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._path = path
        self._folder = folder
        self._clock = clock
        self._buckets: dict[KeyEntry, TokenBucket] = {}
        self._stamp = stamp_of(path)
        self._entries = read_key_file(path).keys
        if not self._entries:
            raise ConfigError(
                f"must hold at least one key, got none in {path}; add one with millrace serve-key add",
                key="security.keys_file",
            )
        self._looked_s = clock()

    def use(self, key: str | None) -> KeyUse:
        """Find out whose key it is and count one request.

        Args:
            key: as sent, None where none was.

        Raises:
            UnauthorizedError: none, or not one of ours.
            RateLimitError: of the key.
        """
        self._reload()
        if not key:
            raise UnauthorizedError("request must carry an API key, got none; send Authorization: Bearer KEY")
        found = self._find(key)
        if found is None:
            raise UnauthorizedError("API key must be one that this service knows, got another; check it")
        use = KeyUse(name=found.name, bucket=self._bucket(found))
        use.charge(1)
        return use

    def _find(self, key: str) -> KeyEntry | None:
        """Looks at every hash, whichever fits, so that the time says nothing."""
        digest = hash_key(key[: MAX_KEY_CHARS + 1])
        found = None
        for entry in self._entries:
            if hmac.compare_digest(entry.sha256, digest):
                found = entry
        return found

    def _bucket(self, entry: KeyEntry) -> TokenBucket | None:
        if entry.per_minute is None:
            return None
        if entry not in self._buckets:
            self._buckets[entry] = self._open_bucket(entry, entry.per_minute, entry.burst or entry.per_minute)
        return self._buckets[entry]

    def _open_bucket(self, entry: KeyEntry, per_minute: float, burst: float) -> TokenBucket:
        if self._folder is None:
            return TokenBucket(per_minute=per_minute, burst=burst, clock=self._clock)
        path = self._folder / f"{entry.sha256[:32]}-{per_minute:g}-{burst:g}.rate"
        return SharedBucket(path, per_minute=per_minute, burst=burst, clock=self._clock)

    def _reload(self) -> None:
        """Read the file again where it changed; one that is wrong leaves the keys as they were."""
        now_s = self._clock()
        if now_s - self._looked_s < RELOAD_S:
            return
        self._looked_s = now_s
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._entries = read_key_file(self._path).keys
        except ConfigError as exc:
            logger.warning("keys stay as they were: %s", exc)
            return
        self._buckets = {entry: bucket for entry, bucket in self._buckets.items() if entry in self._entries}


def open_keys(security: SecurityConfig, *, folder: Path | None = None) -> KeyRing | None:
    """The keys of a service; None where it asks for none.

    Args:
        security: names their file.
        folder: see ``KeyRing``.

    Raises:
        ConfigError: see ``KeyRing``.
    """
    return None if security.keys_file is None else KeyRing(Path(security.keys_file).expanduser(), folder=folder)


def key_in_headers(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key that a request carries, as ``Authorization: Bearer`` or ``X-API-Key``."""
    for name, value in headers:
        if name == b"authorization":
            text = value.decode("latin-1")
            return text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else ""
        if name == b"x-api-key":
            return value.decode("latin-1").strip()
    return None


def authorizer(keys: KeyRing | None) -> Callable[[Iterable[tuple[str, str | bytes]]], KeyUse] | None:
    """What checks the metadata of gRPC calls, which carry keys as HTTP's headers do; None where keys are not wanted."""
    if keys is None:
        return None

    def authorize(metadata: Iterable[tuple[str, str | bytes]]) -> KeyUse:
        pairs = (
            (name.lower().encode(), value.encode() if isinstance(value, str) else value) for name, value in metadata
        )
        return keys.use(key_in_headers(pairs))

    return authorize


def charge_images(scope: Mapping[str, Any], count: int) -> None:
    """Count the images of a request beyond its first, which the gate has counted.

    Raises:
        RateLimitError: they are too many for the request's key.
    """
    use: KeyUse | None = scope.get(SCOPE_KEY)
    if use is not None:
        use.charge(count - 1)


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_size, facts.st_ino
