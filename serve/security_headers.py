"""Headers that keep browsers from doing more with an answer than was meant."""

from __future__ import annotations

from serve.reply import Header

NO_STORE: Header = (b"cache-control", b"no-store")
PREDICTION_PATHS = ("/v1/", "/v2/")

DEFAULTS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""Of every answer; one that brings a header of the same name keeps its own."""


def headers_for(path: str, *, allows_origins: bool) -> tuple[Header, ...]:
    """What is added to an answer.

    Args:
        path: of the request; predictions are never stored on the way.
        allows_origins: whether pages of other origins may read answers.
    """
    chosen = DEFAULTS_FOR_ORIGINS if allows_origins else DEFAULTS
    return (*chosen, NO_STORE) if path.startswith(PREDICTION_PATHS) else chosen


DEFAULTS_FOR_ORIGINS = tuple(header for header in DEFAULTS if header[0] != b"cross-origin-resource-policy")


def add_missing(headers: list[Header], added: tuple[Header, ...]) -> list[Header]:
    """Headers with those of ``added`` that are not among them."""
    names = {name for name, _ in headers}
    return headers + [header for header in added if header[0] not in names]
