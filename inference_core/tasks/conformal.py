"""Conformal prediction sets: as many of the best classes as hold the true one with the promised probability.

Source: Sadinle, Lei and Wasserman, Least Ambiguous Set-Valued Classifiers, JASA 114, 2019 (lac); Romano, Sesia and
Candes, Classification with Valid and Adaptive Coverage, NeurIPS 2020, without its randomisation (aps).
"""

from __future__ import annotations

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.enhance_spec import ConformalSpec


def set_sizes(ranked: Array, conformal: ConformalSpec) -> Array:
    """How many of the best classes are in the set of each image.

    Args:
        ranked: (B, K) float32 scores in descending order.
        conformal: ``lac``: those whose score is at least 1 - quantile, which may be none. ``aps``: those before which
            the scores sum to less than the quantile.

    Returns:
        (B,) int32.
    """
    xp = array_namespace(ranked)
    if conformal.method == "lac":
        is_in = ranked >= 1 - conformal.quantile
    else:
        is_in = xp.cumulative_sum(ranked, axis=1) - ranked < conformal.quantile
    return xp.sum(xp.astype(is_in, xp.int32), axis=1, dtype=xp.int32)
