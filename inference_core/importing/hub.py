"""What can go wrong between here and a hub, as one error that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from inference_core.errors import ConfigError

MAX_REASON_CHARS = 300
HTTP_LIBRARIES = ("httpx", "httpx2", "requests")


@contextmanager
def translated_hub_errors(source: str) -> Iterator[None]:
    """Turn what libraries raise while they look for a model and download it into a ConfigError.

    Args:
        source: as the user named it.
    """
    try:
        yield
    except hub_errors() as exc:
        reason = " ".join(str(exc).split())[:MAX_REASON_CHARS] or type(exc).__name__
        raise ConfigError(
            f"model must be one that the hub gives, got {source}: {reason}; check the name and the network, or "
            "download it elsewhere and name the folder"
        ) from exc


def hub_errors() -> tuple[type[BaseException], ...]:
    """The network's errors and those of a name or a revision that is none."""
    own: tuple[type[BaseException], ...] = (LookupError, OSError, RuntimeError, ValueError)
    # The hub's client lets some errors of its HTTP library through, which is another one in each of its versions.
    libraries = [sys.modules[name] for name in HTTP_LIBRARIES if name in sys.modules]
    return (*own, *(library.HTTPError for library in libraries))
