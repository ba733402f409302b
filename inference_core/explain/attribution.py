"""Saliency and integrated gradients, by captum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from inference_core.errors import ConfigError, InferError
from inference_core.explain.gradient_model import GradientModel, forward_errors
from inference_core.explain.targets import Value

STEPS = (32, 64, 128, 256)
"""Points of the path; more are taken until the sum is as exact as it should be."""
MAX_ERROR_FRAC = 0.01
"""Of the difference that the attributions add up to."""
BATCH_SIZE = 16
"""Points of the path in one forward."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathSum:
    """What integrated gradients give of one tile."""

    attributions: Tensor
    """Of the shape of the input, signed."""
    baseline_value: float
    convergence_delta: float


def saliency(model: GradientModel, values: Tensor, *, evidence: Value) -> Tensor:
    """The size of the target's gradient.

    Args:
        model: differentiable.
        values: (1, ...) its input.
        evidence: reads what is explained from the outputs.

    Returns:
        Of the shape of ``values``, at least 0.

    Raises:
        ConfigError: captum is not installed.
        InferError: no gradient comes through.

    Source: Simonyan et al., Deep Inside Convolutional Networks, ICLR workshop 2014, section 3.
    """
    captum = load_captum()
    with forward_errors():
        attributions: Tensor = captum.Saliency(value_of(model, evidence)).attribute(values.detach().requires_grad_())
    return attributions.detach()


def integrated_gradients(model: GradientModel, values: Tensor, *, baseline: Tensor, evidence: Value) -> PathSum:
    """Each input value's share of what the target gains from a baseline on.

    Args:
        model: differentiable.
        values: (1, ...) its input.
        baseline: likewise.
        evidence: reads what is explained from the outputs.

    Raises:
        ConfigError: captum is not installed.
        InferError: no gradient comes through.

    Source: Sundararajan et al., Axiomatic Attribution for Deep Networks, ICML 2017.
    """
    captum = load_captum()
    value = value_of(model, evidence)
    with forward_errors():
        with torch.no_grad():
            first, last = float(value(baseline)), float(value(values))
        for num_steps in STEPS:
            attributions: Tensor = captum.IntegratedGradients(value).attribute(
                values.detach().requires_grad_(),
                baselines=baseline,
                n_steps=num_steps,
                method="gausslegendre",
                internal_batch_size=BATCH_SIZE,
            )
            attributions = attributions.detach()
            delta = float(attributions.double().sum()) - (last - first)
            if abs(delta) <= MAX_ERROR_FRAC * abs(last - first):
                break
    return PathSum(attributions=attributions, baseline_value=first, convergence_delta=delta)


def value_of(model: GradientModel, evidence: Value) -> Callable[[Tensor], Tensor]:
    """The target as a function of the model's input, (B, ...) to (B,)."""

    def value(values: Tensor) -> Tensor:
        found: Tensor = evidence(model.forward(values))
        if torch.is_grad_enabled() and not found.requires_grad:
            raise InferError("the model must let gradients through to its input, got none; take occlusion")
        return found

    return value


def load_captum() -> ModuleType:
    """``captum.attr``.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import captum.attr
    except ImportError as exc:
        raise ConfigError(
            "saliency and integrated_gradients need captum, which is not installed; pip install 'millrace[explain]', "
            "or take gradcam or occlusion",
            key="method",
        ) from exc
    found: ModuleType = captum.attr
    return found
