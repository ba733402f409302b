"""Pick the output that a task reads and turn it into scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from inference_core.errors import ModelError
from inference_core.spec import OutputSpec

if TYPE_CHECKING:
    from torch import Tensor


def pick_output(outputs: Mapping[str, Tensor], *, name: str | None) -> Tensor:
    """The output called ``name``, or the first.

    Raises:
        ModelError: there is no such output.
    """
    if name is None:
        return next(iter(outputs.values()))
    if name not in outputs:
        raise ModelError(f"output.name must be one of {', '.join(outputs)}, got {name!r}; correct model.yaml")
    return outputs[name]


def check_num_classes(found: int, *, classes: tuple[str, ...], shape: tuple[int, ...]) -> None:
    """Raise ModelError unless the model gives as many scores as there are class names."""
    if found != len(classes):
        raise ModelError(
            f"classes must have one name for each of the model's {found} outputs (shape {list(shape)}), "
            f"got {len(classes)} names; correct classes in model.yaml, or output.name and output.layout"
        )


def activate(logits: Tensor, *, spec: OutputSpec, temperature: float) -> Tensor:
    """Scores of raw outputs along axis 1.

    Args:
        logits: (B, K, ...) float32, not modified.
        spec: names the activation.
        temperature: divides logits; without an activation it must be 1.

    Returns:
        (B, K, ...) float32.
    """
    if spec.activation == "none":
        return logits
    scaled = logits if temperature == 1.0 else logits / temperature
    return scaled.softmax(dim=1) if spec.activation == "softmax" else scaled.sigmoid()
