"""What each further view or member changes: the merged answer with it against the one without."""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """What merged scores decide so far."""

    choices: Array
    """(B, ...) class ids, or yes and no."""
    scores: Array
    """(B, ...) of what is chosen."""


def decide(scores: Array, *, competes: bool, thresholds: Array) -> Decision:
    """What (B, K, ...) scores decide.

    Args:
        scores: merged, float32.
        competes: whether the best class is chosen; else each that reaches its threshold.
        thresholds: (K,) float32 of the same library and device.
    """
    xp = array_namespace(scores)
    if competes:
        return Decision(choices=xp.argmax(scores, axis=1), scores=xp.max(scores, axis=1))
    shape = (1, scores.shape[1], *(1 for _ in scores.shape[2:]))
    return Decision(choices=scores >= xp.reshape(thresholds, shape), scores=scores)


def changed_frac(before: Decision, after: Decision) -> Array:
    """(B,) float32 share of the choices of an image (one, its pixels or its classes) that are others now."""
    xp = array_namespace(after.scores)
    return mean_of_image(xp.astype(before.choices != after.choices, xp.float32))


def score_shift(before: Decision, after: Decision) -> Array:
    """(B,) float32 mean absolute change of the scores of what is chosen."""
    xp = array_namespace(after.scores)
    return mean_of_image(xp.abs(after.scores - before.scores))


def mean_of_image(values: Array) -> Array:
    """(B,) means over all but the first axis."""
    xp = array_namespace(values)
    return xp.mean(xp.reshape(values, (values.shape[0], -1)), axis=1)


class GainLog:
    """Collects the gains of the steps after the first."""

    def __init__(self) -> None:
        self._last: Decision | None = None
        self._changed: list[Array] = []
        self._shifts: list[Array] = []

    def note(self, decision: Decision) -> None:
        """Take the decision with one more step."""
        if self._last is not None:
            self._changed.append(changed_frac(self._last, decision))
            self._shifts.append(score_shift(self._last, decision))
        self._last = decision

    def outputs(self) -> dict[str, Array]:
        """``gain_changed`` and ``gain_shift`` (B, S - 1); nothing where there was one step."""
        if not self._changed:
            return {}
        xp = array_namespace(self._changed[0])
        return {"gain_changed": xp.stack(self._changed, axis=1), "gain_shift": xp.stack(self._shifts, axis=1)}
