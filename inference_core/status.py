"""What can become of one image: the only words that a row's ``status`` holds."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal[
    "ok",
    "fetch_error",
    "decode_error",
    "too_large",
    "unsupported",
    "infer_error",
    "oom",
    "crashed",
]

STATUSES: tuple[Status, ...] = get_args(Status)
"""All statuses, ``ok`` first; the order used in every report."""
