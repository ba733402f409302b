"""JSON as bytes: numbers as they are, NaN and infinity as null, bytes as base64."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_json(value: Any) -> bytes:
    """Compact JSON in ASCII; a float is written so that reading it gives the same float."""
    try:
        text = _ENCODER.encode(value)
    except ValueError:  # a number that JSON has not: rare, so the walk is left to this case
        text = _ENCODER.encode(_finite(value))
    return text.encode("ascii")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"value must be one that JSON knows, got {type(value).__name__}")


def _finite(value: Any) -> Any:
    """A copy with null in the place of numbers that JSON has not."""
    if isinstance(value, float | np.floating):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_plain, allow_nan=False)
"""Made once: it keeps nothing of what it wrote."""
