"""How a package makes answers of scores, as the page tells it: calibration, thresholds, and what else it declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.report.number_text import small_text
from jobs.report.yaml_lines import yaml_lines

TOLD = ("threshold", "thresholds", "calibration")
"""Keys that have words of their own; others are shown as the package's file has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """All of it."""

    calibration: str
    """"" where the task has none."""
    is_calibrated: bool
    threshold: str
    """"" where answers have none."""
    thresholds: Mapping[str, float]
    """Of single classes, by name."""
    rest: list[str]
    """Lines of YAML."""


def decisions_told(facts: Mapping[str, Any] | None) -> Decisions | None:
    """What a plan keeps of its package; None where that is nothing."""
    if not facts:
        return None
    calibration, threshold = facts.get("calibration"), facts.get("threshold")
    rest = {name: value for name, value in facts.items() if name not in TOLD}
    return Decisions(
        calibration="" if calibration is None else calibration_text(calibration),
        is_calibrated=bool(calibration),
        threshold="" if threshold is None else small_text(threshold),
        thresholds=facts.get("thresholds", {}),
        rest=yaml_lines(rest) if rest else [],
    )


def calibration_text(calibration: Mapping[str, Any]) -> str:
    """The kind of calibration with its numbers, or how many there are."""
    if not calibration:
        return "none"
    kind, value = next(iter(calibration.items()))
    match value:
        case float() | int():
            return f"{kind} {small_text(value)}"
        case {"x": [*points], "y": _}:
            return f"{kind}, {len(points)} points"
        case {"a": slope, **offset}:
            return f"{kind}, slope {slope}, offset {offset.get('b', 0.0)}"
        case _:
            return f"{kind}, {len(value)} classes have their own"
