"""Grad-CAM: the maps of a layer, each weighed by how much the answer grows with it.

Source: Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017,
equations 1 and 2. For segmentation: Vinogradova et al., Towards Interpretable Semantic Segmentation via
Gradient-weighted Class Activation Mapping, AAAI 2020.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from inference_core.explain.gradient_model import GradientModel
from inference_core.explain.layers import layer_gradients
from inference_core.explain.operations import operation_gradients
from inference_core.explain.spatial_form import SpatialLayer, find_form, spatial_hw
from inference_core.explain.targets import Value


def gradcam(model: GradientModel, values: Tensor, *, layer: SpatialLayer, evidence: Value) -> Tensor | None:
    """Where a layer's maps speak for the target.

    Args:
        model: with the layer.
        values: (1, ...) its input.
        layer: whose maps are weighed.
        evidence: reads what is explained from the outputs.

    Returns:
        (h, w) float32 of the input's size, at least 0; None where no gradient reaches the layer. Of a layer that runs
        several times the sum.
    """
    seen = layer_gradients if model.has_layers else operation_gradients
    found = seen(model, values, name=layer.name, evidence=evidence)
    input_hw = spatial_hw(values)
    maps = [weigh(output, gradient, input_hw=input_hw) for output, gradient in found if gradient is not None]
    reached = [one for one in maps if one is not None]
    return torch.stack(reached).sum(dim=0) if reached else None


def weigh(output: Tensor, gradient: Tensor, *, input_hw: tuple[int, int]) -> Tensor | None:
    """The positive part of the maps' weighed sum, at the input's size; None where the gradient is 0 everywhere."""
    form = find_form(tuple(output.shape), input_hw=input_hw)
    if form is None:
        return None
    planes, slopes = form.to_planes(output), form.to_planes(gradient)  # (1, C, h, w)
    if not bool(slopes.any()):
        return None
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    heat = torch.relu((weights * planes).sum(dim=1, keepdim=True))
    return interpolate(heat, size=input_hw, mode="bilinear", align_corners=False)[0, 0]
