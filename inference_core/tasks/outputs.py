"""Pick the output that a task reads and turn it into scores: the same code for NumPy arrays and torch tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.errors import ModelError


def name_output(outputs: Mapping[str, Array], *, name: str | None) -> str:
    """The name of the output that is read: ``name``, or the first.

    Raises:
        ModelError: there is no such output.
    """
    name = next(iter(outputs)) if name is None else name
    if name not in outputs:
        raise ModelError(f"output.name must be one of {', '.join(outputs)}, got {name!r}; correct model.yaml")
    return name


def pick_output(outputs: Mapping[str, Array], *, name: str | None) -> Array:
    """The output called ``name``, or the first.

    Raises:
        ModelError: there is no such output, or it holds no floating-point scores.
    """
    name = name_output(outputs, name=name)
    output = outputs[name]
    if not array_namespace(output).isdtype(output.dtype, "real floating"):
        raise ModelError(
            f"output {name} must be floating-point scores, got {output.dtype}{list(output.shape)}; "
            f"set output.name to another of {', '.join(outputs)}, or export the model without argmax"
        )
    return output


def pick_scores(outputs: Mapping[str, Array], *, name: str | None, model: str) -> Array:
    """The output of one score per class, (B, K); trailing axes of size 1 are dropped.

    Args:
        outputs: the model's outputs by name.
        name: which one, None for the first.
        model: what the model is, for the message.

    Raises:
        ModelError: there is no such output, or it has another shape.
    """
    logits = pick_output(outputs, name=name)
    if logits.ndim > 2 and math.prod(logits.shape[2:]) == 1:
        logits = array_namespace(logits).reshape(logits, tuple(logits.shape[:2]))
    if logits.ndim != 2:
        raise ModelError(f"{model} must give (B, K) scores, got {list(logits.shape)}; set output.name, or task")
    return logits


def check_num_classes(found: int, *, classes: tuple[str, ...], shape: tuple[int, ...]) -> None:
    """Raise ModelError unless the model gives as many scores as there are class names."""
    if found != len(classes):
        raise ModelError(
            f"classes must have one name for each of the model's {found} outputs (shape {list(shape)}), "
            f"got {len(classes)} names; correct classes in model.yaml, or output.name and output.layout"
        )


def softmax(logits: Array, *, temperature: Array | float = 1.0) -> Array:
    """Softmax along axis 1 of logits divided by a temperature, one or one along the other axes; rows sum to 1.

    The best logit is taken off before the division: differences of large logits are exact, quotients are rounded.
    """
    xp = array_namespace(logits)
    powers = xp.exp((logits - xp.max(logits, axis=1, keepdims=True)) / temperature)
    return powers / xp.sum(powers, axis=1, keepdims=True)


def sigmoid(logits: Array) -> Array:
    """Logistic function, written with tanh, which does not overflow."""
    xp = array_namespace(logits)
    return xp.tanh(logits * 0.5) * 0.5 + 0.5


def all_finite(scores: Array) -> Any:
    """(B,) bool: whether every score of an item is a number."""
    xp = array_namespace(scores)
    return xp.all(xp.reshape(xp.isfinite(scores), (scores.shape[0], -1)), axis=1)


def to_uint8(scores: Array) -> Array:
    """Scores in [0, 1] times 255, rounded to nearest; what is not finite becomes 0."""
    xp = array_namespace(scores)
    finite = xp.where(xp.isfinite(scores), scores, xp.zeros_like(scores))
    return xp.astype(xp.round(xp.clip(finite, 0.0, 1.0) * 255.0), xp.uint8)
