"""Scores from raw outputs, adjusted as the package says: the same code for NumPy arrays and torch tensors.

Where nothing is declared, these are the activation's own scores, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from array_api_compat import array_namespace, device

from inference_core.calibration_spec import CalibrationSpec, IsotonicSpec, PlattSpec
from inference_core.engines.protocol import Array
from inference_core.spec import ModelSpec
from inference_core.tasks.outputs import sigmoid, softmax

Activation = Literal["softmax", "sigmoid", "none"]

TINY_SCORE = float(np.finfo(np.float32).tiny)
"""Scores below have no logarithm; they count as this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is done to the scores of one model.

    Scores that compete are those of a softmax: a temperature keeps their order. The others are sigmoids, each adjusted
    alone.
    """

    activation: Activation
    competes: bool
    is_each_own: bool
    """Whether a curve by class goes to the score of its class (multi-label), not to all scores by the best class."""
    temperatures: tuple[float, ...] | None = None
    """One, or (K,) by class; None where they are all 1."""
    platt: tuple[PlattSpec, ...] | None = None
    """One, or (K,) by class."""
    isotonic: tuple[IsotonicSpec | None, ...] | None = None
    """One, or (K,) by class, None for a class whose scores stay."""

    @property
    def is_plain(self) -> bool:
        """Whether nothing is adjusted."""
        return self.temperatures is None and self.platt is None and self.isotonic is None

    @property
    def keeps_order(self) -> bool:
        """Whether no two classes can change places, since one rising curve holds for both."""
        curves = self.temperatures or self.platt or self.isotonic
        return curves is None or len(curves) == 1 or not self.is_each_own


def build_calibration(spec: ModelSpec) -> Calibration:
    """What a package says of its scores."""
    declared = spec.calibration
    return Calibration(
        activation=spec.output.activation,
        competes=spec.scores_compete,
        is_each_own=spec.task == "multilabel",
        temperatures=read_temperatures(declared, spec.classes),
        platt=read_platt(declared, spec.classes),
        isotonic=read_isotonic(declared, spec.classes),
    )


def read_temperatures(declared: CalibrationSpec, classes: tuple[str, ...]) -> tuple[float, ...] | None:
    """One temperature or one for each class; None where none is declared."""
    given = declared.temperature
    if isinstance(given, dict):
        return tuple(given.get(name, 1.0) for name in classes)
    return None if given == 1.0 else (given,)


def read_platt(declared: CalibrationSpec, classes: tuple[str, ...]) -> tuple[PlattSpec, ...] | None:
    """Likewise."""
    given = declared.platt
    if isinstance(given, dict):
        return tuple(given.get(name, PlattSpec(a=1.0)) for name in classes)
    return None if given is None else (given,)


def read_isotonic(declared: CalibrationSpec, classes: tuple[str, ...]) -> tuple[IsotonicSpec | None, ...] | None:
    """Likewise."""
    given = declared.isotonic
    if isinstance(given, dict):
        return tuple(given.get(name) for name in classes)
    return None if given is None else (given,)


def activate(logits: Array, *, calibration: Calibration, skipped: int = 0) -> Array:
    """Scores of raw outputs along axis 1.

    Args:
        logits: (B, K, ...) float32, not modified; scores already with activation none.
        calibration: of the model.
        skipped: leading outputs that are no class, and never the best one.

    Returns:
        (B, K, ...) float32.
    """
    if calibration.is_plain:
        return activate_plain(logits, activation=calibration.activation)
    if calibration.competes:
        return softmax_at(competing_logits(logits, calibration=calibration), calibration=calibration, skipped=skipped)
    return adjusted_scores(logits, calibration=calibration, skipped=skipped)


def activate_plain(logits: Array, *, activation: Activation) -> Array:
    """The activation alone."""
    if activation == "none":
        return logits
    return softmax(logits) if activation == "softmax" else sigmoid(logits)


def best_of(logits: Array, *, calibration: Calibration) -> tuple[Array, Array]:
    """Best class along axis 1 and its score: (B, ...) int64 and float32. Ties go to the lower class id."""
    xp = array_namespace(logits)
    class_ids = xp.argmax(logits, axis=1)
    best = xp.max(logits, axis=1, keepdims=True)
    if calibration.activation == "softmax" or not calibration.is_plain:
        logits, best = (competing_logits(part, calibration=calibration) for part in (logits, best))
        temperature = temperature_of(xp.expand_dims(class_ids, axis=1), calibration=calibration)
        # The best score is 1 over the sum of powers relative to the best: no other score has to be made.
        return class_ids, 1.0 / xp.sum(xp.exp((logits - best) / temperature), axis=1)
    return class_ids, activate_plain(best, activation=calibration.activation)[:, 0, ...]


def foreground_scores(plane: Array, *, calibration: Calibration, is_logit: bool) -> Array:
    """Scores of the foreground of two classes, from its logits or its scores, of any shape."""
    if calibration.is_plain:
        return sigmoid(plane) if is_logit else plane
    xp = array_namespace(plane)
    if calibration.isotonic is not None:
        curve = calibration.isotonic[0]
        scores = sigmoid(plane) if is_logit else plane
        return scores if curve is None else interpolate(scores, curve)
    logits = plane if is_logit else logit(plane)
    if calibration.platt is not None:
        return sigmoid(logits * calibration.platt[0].a + calibration.platt[0].b)
    temperatures = calibration.temperatures or (1.0,)
    if len(temperatures) == 1:
        return sigmoid(logits / temperatures[0])
    return sigmoid(logits / xp.where(logits > 0, *(xp.full_like(logits, temperatures[k]) for k in (1, 0))))


def competing_logits(values: Array, *, calibration: Calibration) -> Array:
    """Values whose softmax the scores are: the logarithms of scores where the model gives scores."""
    if calibration.activation != "none":
        return values
    xp = array_namespace(values)
    return xp.log(xp.clip(values, TINY_SCORE, None))


def softmax_at(logits: Array, *, calibration: Calibration, skipped: int) -> Array:
    """Softmax at the temperature of the best class."""
    xp = array_namespace(logits)
    temperatures = calibration.temperatures or (1.0,)
    if len(temperatures) == 1:
        return softmax(logits, temperature=temperatures[0])
    best = xp.argmax(logits[:, skipped:, ...], axis=1, keepdims=True)
    return softmax(logits, temperature=temperature_of(best, calibration=calibration))


def temperature_of(class_ids: Array, *, calibration: Calibration) -> Array | float:
    """The temperature of each class id, of their shape; or the only one."""
    temperatures = calibration.temperatures or (1.0,)
    if len(temperatures) == 1:
        return temperatures[0]
    xp = array_namespace(class_ids)
    table = xp.asarray(temperatures, dtype=xp.float32, device=device(class_ids))
    return xp.reshape(xp.take(table, xp.reshape(class_ids, (-1,))), tuple(class_ids.shape))


def adjusted_scores(logits: Array, *, calibration: Calibration, skipped: int) -> Array:
    """Scores that do not compete, (B, K) each adjusted alone."""
    xp = array_namespace(logits)
    if calibration.isotonic is not None:
        scores = activate_plain(logits, activation=calibration.activation)
        return interpolate_classes(scores, calibration.isotonic)
    values = logit(logits) if calibration.activation == "none" else logits
    if calibration.platt is not None:
        slopes, offsets = (row_of([getattr(one, name) for one in calibration.platt], like=values) for name in "ab")
        return sigmoid(values * slopes + offsets)
    temperatures = calibration.temperatures or (1.0,)
    if calibration.is_each_own or len(temperatures) == 1:
        return sigmoid(values / row_of(temperatures, like=values))
    best = xp.argmax(values[:, skipped:], axis=1, keepdims=True)
    return sigmoid(values / temperature_of(best, calibration=calibration))


def interpolate_classes(scores: Array, curves: tuple[IsotonicSpec | None, ...]) -> Array:
    """(B, K) scores through one curve, or each class's through its own."""
    if len(curves) == 1:
        return scores if curves[0] is None else interpolate(scores, curves[0])
    xp = array_namespace(scores)
    columns = [scores[:, k] if curve is None else interpolate(scores[:, k], curve) for k, curve in enumerate(curves)]
    return xp.stack(columns, axis=1)


def interpolate(scores: Array, curve: IsotonicSpec) -> Array:
    """Scores of any shape through a line of straight pieces; level outside of it."""
    xp = array_namespace(scores)
    x, y = (xp.asarray(part, dtype=xp.float32, device=device(scores)) for part in (curve.x, curve.y))
    flat = xp.clip(xp.reshape(scores, (-1,)), curve.x[0], curve.x[-1])
    right = xp.clip(xp.searchsorted(x, flat, side="left"), 1, len(curve.x) - 1)
    x0, x1, y0, y1 = (xp.take(part, index) for part in (x, y) for index in (right - 1, right))
    share = (flat - x0) / (x1 - x0)
    return xp.reshape(y0 + share * (y1 - y0), tuple(scores.shape))


def logit(scores: Array) -> Array:
    """The logits of which scores are the sigmoids; those of 0 and 1 are large, not infinite."""
    xp = array_namespace(scores)
    return xp.log(xp.clip(scores, TINY_SCORE, None)) - xp.log(xp.clip(1.0 - scores, TINY_SCORE, None))


def row_of(values: tuple[float, ...] | list[float], *, like: Array) -> Array:
    """(1, 1) or (1, K) float32 beside an array."""
    xp = array_namespace(like)
    return xp.asarray([list(values)], dtype=xp.float32, device=device(like))
