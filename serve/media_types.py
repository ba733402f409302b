"""``Content-Type`` and ``Accept`` taken apart.

Source: RFC 9110, HTTP Semantics, sections 8.3.1 and 12.5.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"\s*({_TOKEN})/({_TOKEN})\s*")
_PARAMETER = re.compile(rf"\s*;\s*(?:({_TOKEN})\s*=\s*(?:({_TOKEN})|\"((?:[^\"\\]|\\.)*)\"))?\s*")
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_ESCAPED = re.compile(r"\\(.)")
MAX_HEADER_CHARS = 2048
MAX_RANGES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaType:
    """A media type, or a range of them with ``*``."""

    main: str
    sub: str
    parameters: dict[str, str] = field(default_factory=dict)
    quality: float = 1.0
    """Of a range in ``Accept``, in [0, 1]."""

    @property
    def essence(self) -> str:
        """``main/sub``."""
        return f"{self.main}/{self.sub}"

    def covers(self, essence: str) -> bool:
        """Whether this range holds a type."""
        main, _, sub = essence.partition("/")
        return self.main in ("*", main) and self.sub in ("*", sub)

    @property
    def specificity(self) -> int:
        """Larger for the range that says more: a type with parameters, a type, ``main/*``, ``*/*``."""
        return (self.main != "*") + (self.sub != "*") + bool(self.parameters)


def parse_media_type(text: str) -> MediaType | None:
    """One media type with its parameters; None where the text is none."""
    parsed = _scan(text[:MAX_HEADER_CHARS], 0)
    return None if parsed is None or parsed[1] != len(text) else parsed[0]


def parse_accept(text: str) -> list[MediaType] | None:
    """The ranges of an ``Accept`` header; an empty one takes everything. None where it cannot be read."""
    if not text.strip():
        return [MediaType(main="*", sub="*")]
    if len(text) > MAX_HEADER_CHARS:
        return None
    ranges: list[MediaType] = []
    at = 0
    while at < len(text):
        if text[at] in ", \t":  # empty elements are allowed
            at += 1
            continue
        scanned = _scan(text, at)
        if scanned is None or len(ranges) == MAX_RANGES:
            return None
        found, at = scanned
        if at < len(text) and text[at] != ",":
            return None
        weighted = _with_quality(found)
        if weighted is None:
            return None
        ranges.append(weighted)
    return ranges


def _scan(text: str, at: int) -> tuple[MediaType, int] | None:
    matched = _TYPE.match(text, at)
    if matched is None:
        return None
    parameters: dict[str, str] = {}
    at = matched.end()
    while found := _PARAMETER.match(text, at):
        name, token, quoted = found.groups()
        if name is not None:
            parameters[name.lower()] = token if token is not None else _ESCAPED.sub(r"\1", quoted)
        at = found.end()
    return MediaType(main=matched[1].lower(), sub=matched[2].lower(), parameters=parameters), at


def _with_quality(found: MediaType) -> MediaType | None:
    quality = found.parameters.pop("q", "1")
    if not _QUALITY.fullmatch(quality):
        return None
    return MediaType(main=found.main, sub=found.sub, parameters=found.parameters, quality=float(quality))
