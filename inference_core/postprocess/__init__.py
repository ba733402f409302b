"""From score maps to clean masks: thresholds, morphology, components. Pure functions on uint8 arrays."""

from __future__ import annotations

from inference_core.postprocess.components import remove_components
from inference_core.postprocess.holes import fill_class_holes
from inference_core.postprocess.measure import measure_components
from inference_core.postprocess.morphology import close_classes, open_classes
from inference_core.postprocess.steps import MaskStep, apply_steps
from inference_core.postprocess.threshold import apply_threshold, otsu_level

__all__ = [
    "MaskStep",
    "apply_steps",
    "apply_threshold",
    "close_classes",
    "fill_class_holes",
    "measure_components",
    "open_classes",
    "otsu_level",
    "remove_components",
]
