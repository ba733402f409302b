"""Which nodes or weights a user means by a name or a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from inference_core.errors import ConfigError


def match_names(patterns: Sequence[str], names: Iterable[str]) -> list[str]:
    """Names that one of the patterns means, in their order.

    Args:
        patterns: names, or patterns with ``*`` and ``?``.
        names: that there are.

    Raises:
        ConfigError: a pattern means none.
    """
    known = list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            near = get_close_matches(pattern, known, n=3, cutoff=0.3) or known[:3]
            raise ConfigError(
                f"must name a layer of the model, got {pattern!r}; there are {len(known)}, such as {', '.join(near)}",
                key="--keep-float",
            )
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns)]
