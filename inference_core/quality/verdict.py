"""The verdict that rules find on an answer, and how soon a person should look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from inference_core.items import Prediction
from inference_core.quality_spec import QualitySpec, RuleSpec
from inference_core.results import Classification, Detection, MultiLabel, Result, Segmentation, Spread
from inference_core.verdict import VERDICTS, Verdict

Values = Mapping[str, float | None]
"""Fields of an answer by name; None, or absent, where it does not have them."""


def judge(quality: QualitySpec, values: Values) -> tuple[Verdict, tuple[str, ...]]:
    """The strictest verdict of the rules that hold, and the reasons of all that hold, each once, in their order."""
    found = [rule for rule in quality.rules if holds(rule, values)]
    verdicts: list[Verdict] = [rule.verdict for rule in found]
    return max(verdicts, key=VERDICTS.index, default="accept"), tuple(dict.fromkeys(rule.told_reason for rule in found))


def holds(rule: RuleSpec, values: Values) -> bool:
    """Whether all conditions of a rule hold; a value that is not there holds none."""
    return all(bounds.holds(values.get(name)) for name, bounds in rule.when.items())


def values_of(prediction: Prediction) -> dict[str, float | None]:
    """All fields that rules may ask for, of a prediction with its statistics."""
    result, source = prediction.result, prediction.source
    assert result is not None, "an answer is judged"
    height, width = source.image_hw
    spread = getattr(result, "spread", None)
    return {
        "height": height or None,  # of tiles that a caller prepared, nothing is known
        "width": width or None,
        **own_values(result),
        **(spread_values(spread) if spread is not None else {}),
        **prediction.statistics,
    }


def own_values(result: Result) -> dict[str, float | None]:
    """What rows tell of an answer in any case."""
    match result:
        case Classification():
            sets = result.prediction_set
            return {
                "score": float(result.scores[0]),
                "entropy": result.entropy,
                "set_size": None if sets is None else len(sets),
            }
        case MultiLabel():
            return {"score": float(result.top_scores[0]), "num_labels": len(result.class_ids)}
        case Detection():
            count = len(result.scores)
            return {
                "num_objects": count,
                "score": float(result.scores[0]) if count else None,
                "score_mean": float(result.scores.mean(dtype=np.float64)) if count else None,
            }
        case Segmentation():
            return mask_values(result)
        case _:
            return {"norm": result.norm}


def mask_values(result: Segmentation) -> dict[str, float | None]:
    """Mean score and coverage of a mask, as rows tell them."""
    pixels = result.class_pixels.astype(np.float64)
    total = pixels.sum()
    score = float(np.float32(pixels @ result.class_scores.astype(np.float64) / total))
    return {"score": score, "foreground_frac": float(np.float32((total - pixels[0]) / total))}


def spread_values(spread: Spread) -> dict[str, float | None]:
    """How far the forwards of an answer agree."""
    return {
        "mutual_information": spread.mutual_information,
        "score_std": spread.score_std,
        "disagreement": disagreement_of(spread),
        "uncertainty": spread.uncertainty,
        "uncertain_frac": spread.uncertain_frac,
    }


def disagreement_of(spread: Spread) -> float | None:
    """The largest share of what is decided that one further view or member changed; None of a single one."""
    return max((gain.changed_frac for gain in spread.gains), default=None)


def priority_of(values: Values, *, task: str) -> float:
    """How soon to look at an answer: the mean of how uncertain it is and how far its forwards disagree, in [0, 1].

    Args:
        values: fields of the answer.
        task: of the package.

    Returns:
        0 where neither is known.
    """
    disagreement = first_known(values, ("mutual_information", "disagreement"))
    parts = [part for part in (uncertainty_of(values, task=task), disagreement) if part is not None]
    return float(np.float32(np.clip(sum(parts) / len(parts), 0.0, 1.0))) if parts else 0.0


def uncertainty_of(values: Values, *, task: str) -> float | None:
    """The entropy of classes, the uncertainty of pixels, or else how far the scores are from 1; None where there are
    none.
    """
    known = first_known(values, ("uncertainty",) if task == "segmentation" else ("entropy",))
    if known is not None:
        return known
    score = first_known(values, ("score_mean", "score"))
    return None if score is None else 1 - score


def first_known(values: Values, names: Sequence[str]) -> float | None:
    """The first value that is there."""
    return next((value for name in names if (value := values.get(name)) is not None), None)
