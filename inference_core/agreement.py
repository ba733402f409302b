"""How far two answers to the same image differ: raw outputs by value, predictions by what they decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.records import Classification, Detection, MultiLabel, Prediction, Segmentation


def largest_difference(expected: Mapping[str, NDArray[Any]], found: Mapping[str, NDArray[Any]]) -> float | None:
    """Largest absolute difference of outputs, paired in order, since engines name them differently.

    Returns:
        None where shapes differ or a difference is not finite.
    """
    pairs = list(zip(expected.values(), found.values(), strict=False))
    if len(expected) != len(found) or any(one.shape != other.shape for one, other in pairs):
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = [np.abs(one.astype(np.float64) - other).max(initial=0.0) for one, other in pairs]
    largest = max(gaps, default=0.0)
    return float(largest) if np.isfinite(gaps).all() else None


def disagreement(expected: Prediction, found: Prediction) -> float:
    """How far two answers for one image differ in what they decide, from 0 to 1; scores do not count.

    The label of a classification, the share of pixels of a mask, the share of labels or of objects by class that only
    one of them has.
    """
    match expected.result, found.result:
        case Classification() as one, Classification() as other:
            return float(one.class_ids[0] != other.class_ids[0])
        case Segmentation() as one, Segmentation() as other:
            return float(np.mean(one.mask != other.mask))
        case ((MultiLabel() | Detection() as one), (MultiLabel() | Detection() as other)):
            return unshared_frac(Counter(one.class_ids.tolist()), Counter(other.class_ids.tolist()))
    return float(expected.is_ok != found.is_ok)


def unshared_frac(one: Counter[int], other: Counter[int]) -> float:
    """Share of the members of two multisets that are not in both; 0 for two empty ones."""
    together = (one | other).total()
    return 1 - (one & other).total() / together if together else 0.0
