"""Numbers that describe the scores and uncertainties of a segmentation's pixels."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference_core.quality.level_counts import (
    NUM_LEVELS,
    Counts,
    count_levels,
    frac_where,
    mean_of,
    quantile_of,
    std_of,
)
from inference_core.quality.mask_measures import boundary_band
from inference_core.quality.score_measures import Numbers, binary_entropy
from inference_core.records import Uint8Array
from inference_core.results import Segmentation

LEVELS: NDArray[np.float64] = np.arange(NUM_LEVELS) / (NUM_LEVELS - 1)
"""(256,) the score that each level stands for."""
QUANTILES = {"score_p05": 0.05, "score_p50": 0.5, "score_p95": 0.95}
UNCERTAIN_FROM = 0.5
"""From which on a pixel is uncertain, where the package declares no ``uncertainty`` with a threshold of its own."""
BACKGROUND = 0


class PixelMeasures:
    """The pixels of one answer, counted once for all numbers that are asked for.

    Args:
        result: the answer. Its arrays are not modified.
        is_binary: whether ``result.scores`` are the foreground's and not those of the chosen class.
    """

    def __init__(self, result: Segmentation, *, is_binary: bool) -> None:
        self._result = result
        self._is_binary = is_binary
        self._uncertainty = result.spread.pixels if result.spread is not None else None
        self._doubts = binary_entropy(LEVELS) if is_binary else 1 - LEVELS

    @cached_property
    def _scores(self) -> Uint8Array:
        """(H, W) uint8, of the chosen classes."""
        result = self._result
        return chosen_scores(result.mask, result.scores) if self._is_binary else result.scores

    @cached_property
    def _counts(self) -> Counts:
        """Of ``_scores``."""
        return count_levels(self._scores)

    def scores(self, *, low: float, high: float) -> Numbers:
        """Spread and quantiles of the scores of the chosen classes, and the shares of low and high ones."""
        counts = self._counts
        return {
            "score_spread": std_of(counts, LEVELS),
            **{name: quantile_of(counts, LEVELS, q_frac) for name, q_frac in QUANTILES.items()},
            "low_score_frac": frac_where(counts, np.less(LEVELS, low)),
            "high_score_frac": frac_where(counts, np.greater_equal(LEVELS, high)),
        }

    def uncertainty(self) -> Numbers:
        """Mean uncertainty and the share of uncertain pixels, from the scores alone."""
        return {
            "uncertainty": mean_of(self._counts, self._doubts),
            "uncertain_frac": frac_where(self._counts, self._doubts >= UNCERTAIN_FROM),
        }

    def boundary(self, *, band_px: int) -> Numbers:
        """Mean uncertainty where classes meet, and elsewhere; None where there is no such pixel.

        It is the uncertainty that the package declares, else that of the scores: the entropy of two classes, the
        distance from 1 of more.
        """
        plane, values = (self._scores, self._doubts) if self._uncertainty is None else (self._uncertainty, LEVELS)
        whole = self._counts if self._uncertainty is None else count_levels(plane)
        inside: Counts = count_levels(plane, where=boundary_band(self._result.mask, radius_px=band_px))
        return {
            "boundary_uncertainty": mean_of(inside, values),
            "interior_uncertainty": mean_of(whole - inside, values),
        }


def chosen_scores(mask: Uint8Array, foreground: Uint8Array) -> Uint8Array:
    """(H, W) uint8 scores of the class of each pixel, of two classes: the background's is what is left."""
    return np.where(mask == BACKGROUND, 255 - foreground, foreground)
