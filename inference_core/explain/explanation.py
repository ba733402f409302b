"""What is told of one answer: how much each pixel speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from inference_core.errors import ConfigError
from inference_core.records import ArrayRecord, FloatArray, SourceFacts, check_array

Method = Literal["gradcam", "saliency", "integrated_gradients", "occlusion"]

GRADIENT_METHODS: tuple[Method, ...] = ("gradcam", "saliency", "integrated_gradients")
"""Look into the model; occlusion only asks it."""
SIGNED_METHODS: tuple[Method, ...] = ("integrated_gradients", "occlusion")
"""Below 0 is what speaks against the answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Explanation(ArrayRecord):
    """Where the evidence for one class, or one object, lies in an image.

    What is explained is one number that the model gives, ``value``: of a class its logit (gradients) or its log-odds
    (occlusion); of a segmentation the sum of the class's logits over its predicted mask; of an object its score.
    """

    source: SourceFacts
    heatmap: FloatArray
    """(H, W) float32 in the image's own pixels; 0 where the model did not see the image. Grad-CAM: positive evidence,
    at least 0. Saliency: the size of the gradient, at least 0. Integrated gradients: the pixel's share of the value.
    Occlusion: by how much the value falls where the pixel is covered."""
    method: Method
    layer: str = ""
    """Whose maps Grad-CAM weighs, "" with other methods."""
    class_id: int
    label: str
    score: float
    """Of the class or the object, as the answer tells it."""
    box_xyxy: tuple[float, float, float, float] | None = None
    """Of the object, with detection."""
    value: float
    """What is explained, of the whole image."""
    baseline: tuple[int, ...] | None = None
    """Colour that stands for an absent pixel: what integrated gradients begins with and occlusion covers with."""
    baseline_value: float | None = None
    """Integrated gradients: the value of an image of that colour alone."""
    total: float
    """Sum over the model's input; with integrated gradients nearly ``value - baseline_value``."""
    convergence_delta: float | None = None
    """Integrated gradients: ``total - (value - baseline_value)``, the error of the sum over the path."""
    window_px: tuple[float, float] | None = None
    """Occlusion: height and width of what covers, in the image's pixels."""
    engine: str = ""
    """What ran the model."""
    model_digest: str = ""

    def __post_init__(self) -> None:
        check_array("heatmap", self.heatmap, ndim=2, dtype=np.float32)

    @property
    def is_signed(self) -> bool:
        """Whether values below 0 speak against the answer."""
        return self.method in SIGNED_METHODS

    def facts(self) -> dict[str, Any]:
        """Everything but the heatmap, as JSON takes it."""
        return {
            "image_id": self.source.image_id,
            "uri": self.source.uri,
            "method": self.method,
            "layer": self.layer,
            "class_id": self.class_id,
            "label": self.label,
            "score": self.score,
            "box_xyxy": None if self.box_xyxy is None else list(self.box_xyxy),
            "value": self.value,
            "baseline": None if self.baseline is None else list(self.baseline),
            "baseline_value": self.baseline_value,
            "total": self.total,
            "convergence_delta": self.convergence_delta,
            "window_px": None if self.window_px is None else list(self.window_px),
            "height": self.heatmap.shape[0],
            "width": self.heatmap.shape[1],
            "engine": self.engine,
            "model_digest": self.model_digest,
        }


def read_method(name: str) -> Method | None:
    """A method by its name; None for ``auto``.

    Raises:
        ConfigError: there is no such method.
    """
    if name == "auto":
        return None
    for method in get_args(Method):
        if method == name:
            return method  # type: ignore[no-any-return]
    raise ConfigError(f"must be auto or one of {', '.join(get_args(Method))}, got {name!r}; choose one", key="method")
