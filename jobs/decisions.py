"""What of a package decides how scores become answers: thresholds, calibration, rules. Reports show it."""

from __future__ import annotations

from typing import Any

from inference_core.spec import ModelSpec
from inference_core.validation import plain_facts, plain_value

DECIDING = ("conformal", "uncertainty", "tta", "dropout", "statistics", "quality", "postprocess", "components")
"""Keys of the package that are told where they are declared, as its file says them."""
WITH_THRESHOLD = ("multilabel", "detection")


def decisions_of(spec: ModelSpec) -> dict[str, Any]:
    """What is kept of a model for its report, as JSON.

    Returns:
        ``threshold`` where answers have one, ``thresholds`` of single classes by name, ``calibration`` as it is
        declared (empty where scores are as the model gives them), and what is declared of DECIDING.
    """
    facts: dict[str, Any] = {}
    if spec.task in WITH_THRESHOLD or (spec.task == "segmentation" and len(spec.classes) == 2):
        facts["threshold"] = spec.output.threshold
    if spec.output.thresholds:
        facts["thresholds"] = dict(spec.output.thresholds)
    if spec.task not in ("detection", "embedding"):
        facts["calibration"] = plain_facts(spec.calibration)
    declared = {name: plain_value(getattr(spec, name)) for name in DECIDING}
    return facts | {name: value for name, value in declared.items() if value}
