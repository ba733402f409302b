"""The merged answer of forwards that give scores: what the task reads, and how far the forwards agree."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import numpy as np
from array_api_compat import array_namespace, device

from inference_core.engines.protocol import Array
from inference_core.enhance.forwards import Seen
from inference_core.enhance.gains import GainLog, decide
from inference_core.enhance.merge_scores import ScoreMerge
from inference_core.enhance.spread import Spread
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import logit
from inference_core.tasks.merged_spec import MERGED, gives_logits, merge_of, merged_spec
from inference_core.tasks.outputs import to_uint8


class ScoreAnswer:
    """Merges the scores of classification, multi-label and segmentation models.

    Args:
        spec: of the package that the forwards are of.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._votes_from = thresholds_of(spec)
        self._decides_from = thresholds_of(merged_spec(spec))
        measure = spec.uncertainty.measure if spec.uncertainty else None
        is_told = spec.task != "segmentation" and spec.has_several_forwards
        self._tells_spread = is_told
        self._needs_spread = is_told or measure is not None
        self._needs_variance = is_told or measure == "std"
        self._needs_entropy = is_told or measure == "mutual_information"

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def merge(self, forwards: Iterable[Seen]) -> dict[str, Array]:
        """The outputs that stand for all forwards.

        Returns:
            ``merged`` (B, K, ...) scores, or logits where ``gives_logits`` says so; with several steps ``gain_changed``
            and ``gain_shift``; for images ``mutual_information`` and ``score_std`` (B,); for pixels ``uncertainty`` (B,
            h, w) uint8, where asked.
        """
        spec, log = self._spec, GainLog()
        merge = ScoreMerge(merge_of(spec), competes=spec.scores_compete, thresholds=self._votes_from)
        spread = Spread(
            competes=spec.scores_compete, tracks_variance=self._needs_variance, tracks_entropy=self._needs_entropy
        )
        for _, group in groupby(forwards, key=lambda one: one.step):
            for seen in group:
                merge.add(seen.answer, weight=seen.weight)
                if self._needs_spread:
                    spread.add(seen.answer, weight=seen.weight)
            log.note(decide(merge.scores, competes=spec.scores_compete, thresholds=self._levels(seen.answer)))
        scores = merge.scores
        return {
            MERGED: logit(scores) if gives_logits(spec) else scores,
            **log.outputs(),
            **(self._told_of_image(scores, spread) if self._tells_spread else {}),
            **({"uncertainty": to_uint8(self._pixel_measure(scores, spread))} if spec.uncertainty else {}),
        }

    def _levels(self, like: Array) -> Array:
        """(K,) thresholds beside an array."""
        xp = array_namespace(like)
        return xp.asarray(self._decides_from, dtype=xp.float32, device=device(like))

    def _told_of_image(self, scores: Array, spread: Spread) -> dict[str, Array]:
        """How far the forwards agree about each image."""
        return {"mutual_information": spread.mutual_information, "score_std": chosen(spread.std, scores)}

    def _pixel_measure(self, scores: Array, spread: Spread) -> Array:
        """(B, h, w) the measure that the package names, in [0, 1]."""
        assert self._spec.uncertainty is not None, "asked for where it is declared"
        if self._spec.uncertainty.measure == "std":
            return chosen(spread.std, scores)
        if self._spec.uncertainty.measure == "mutual_information":
            return spread.mutual_information
        return spread.entropy


def chosen(values: Array, scores: Array) -> Array:
    """(B, ...) of (B, K, ...) values those of the best class; the first of equal ones."""
    xp = array_namespace(scores)
    return xp.take_along_axis(values, xp.argmax(scores, axis=1, keepdims=True), axis=1)[:, 0, ...]


def thresholds_of(spec: ModelSpec) -> tuple[float, ...]:
    """(K,) least scores of the classes that do not compete; of two-class segmentation that of the foreground."""
    if spec.is_binary:
        return (spec.output.threshold,)
    return tuple(spec.output.thresholds.get(name, spec.output.threshold) for name in spec.classes)
