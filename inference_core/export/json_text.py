"""JSON that is harmless wherever it is put, also into a page."""

from __future__ import annotations

import json
from typing import Any

HARMLESS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""The same characters for every reader of JSON, and none that begins a tag."""


def json_text(value: Any) -> str:
    r"""A value on one line of ASCII.

    Raises:
        ValueError: it holds a number that is not finite.

    Example:
        >>> json_text({"name": "<b>"})
        '{"name": "\u003cb\u003e"}'
    """
    return json.dumps(value, allow_nan=False).translate(HARMLESS)
