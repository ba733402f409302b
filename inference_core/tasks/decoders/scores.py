"""Class scores of boxes: activation, the best class, and checks of a decoder's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.errors import ModelError
from inference_core.tasks.outputs import sigmoid

Activation = Literal["softmax", "sigmoid", "none"]
Extra = Literal["first", "last", "none"]


def activate_last(logits: Array, *, activation: Activation) -> Array:
    """Scores of raw outputs along the last axis."""
    if activation == "none":
        return logits
    if activation == "sigmoid":
        return sigmoid(logits)
    xp = array_namespace(logits)
    powers = xp.exp(logits - xp.max(logits, axis=-1, keepdims=True))
    return powers / xp.sum(powers, axis=-1, keepdims=True)


def without_extra(scores: Array, *, extra: Extra) -> Array:
    """(B, N, K) scores without the column that is no class."""
    if extra == "first":
        return scores[..., 1:]
    return scores[..., :-1] if extra == "last" else scores


def best_class(scores: Array) -> tuple[Array, Array]:
    """Best score (B, N) and class ids (B, N) int32 of (B, N, K) scores; ties go to the lower class id."""
    xp = array_namespace(scores)
    return xp.max(scores, axis=-1), xp.astype(xp.argmax(scores, axis=-1), xp.int32)


def check_shape(output: Array, expected: Sequence[int | str], *, decoder: str, role: str = "output") -> None:
    """Raise ModelError unless an output has the expected axes; a text is a free axis."""
    shape = tuple(output.shape)
    fits = len(shape) == len(expected) and all(
        isinstance(want, str) or found == want for found, want in zip(shape, expected, strict=True)
    )
    if not fits:
        axes = ", ".join(str(axis) for axis in expected)
        raise ModelError(
            f"{role} must be ({axes}) with decoder {decoder} and this input and number of classes, got {list(shape)}; "
            "correct output.decoder, output.name or classes in model.yaml"
        )
