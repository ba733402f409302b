"""What rules make of an answer: the only words that a row's ``verdict`` holds."""

from __future__ import annotations

from typing import Literal, get_args

Verdict = Literal["accept", "review", "reject"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""From the mildest to the strictest."""
