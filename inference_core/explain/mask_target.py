"""What is explained of a class of a segmentation: its logits over the pixels that are taken for it.

Source: Vinogradova et al., Towards Interpretable Semantic Segmentation via Gradient-weighted Class Activation Mapping,
AAAI 2020, equation 2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from array_api_compat import array_namespace, device

from inference_core.engines.protocol import Array
from inference_core.explain.targets import as_numpy
from inference_core.run_length import BoolArray
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import build_calibration, foreground_scores
from inference_core.tasks.class_ids import is_class_ids, read_class_ids
from inference_core.tasks.outputs import name_output, pick_output
from inference_core.tasks.segmentation import foreground_plane, read_planes, upsample


class MaskTarget:
    """One class over one tile's mask of it.

    Args:
        spec: of the model.
        class_id: of the class.
        mask: (h, w) bool, where the tile as it is shows the class.
    """

    def __init__(self, spec: ModelSpec, *, class_id: int, mask: BoolArray) -> None:
        self._spec = spec
        self._class_id = class_id
        self._mask = mask

    def evidence(self, outputs: Mapping[str, Array]) -> Array:
        """The sum of the class's plane over the mask; of a model that gives class ids the pixels that stay."""
        plane = class_plane(outputs, spec=self._spec, class_id=self._class_id, tile_hw=self._mask.shape)
        xp = array_namespace(plane)
        mask = xp.asarray(self._mask.astype(np.float32), device=device(plane))
        return xp.sum(plane * mask[None], axis=(1, 2))

    def support(self, outputs: Mapping[str, Array]) -> Array:
        """The same."""
        return self.evidence(outputs)


def class_plane(outputs: Mapping[str, Array], *, spec: ModelSpec, class_id: int, tile_hw: tuple[int, ...]) -> Array:
    """(B, h, w) float32 of a class as the model gives it, before the activation."""
    size_hw = (tile_hw[0], tile_hw[1])
    output = outputs[name_output(outputs, name=spec.output.name)]
    if is_class_ids(output):
        class_ids = read_class_ids(output, num_classes=len(spec.classes), size_hw=size_hw)
        xp = array_namespace(class_ids)
        return xp.astype(class_ids == class_id, xp.float32)
    logits = planes_of(outputs, spec=spec, size_hw=size_hw)
    if not spec.is_binary:
        return logits[:, class_id, ...]
    plane, is_logit = foreground_plane(logits, spec=spec)
    if class_id == 1:
        return plane
    return -plane if is_logit else 1.0 - plane


def planes_of(outputs: Mapping[str, Array], *, spec: ModelSpec, size_hw: tuple[int, int]) -> Array:
    """(B, K, h, w) raw planes at the tile's size."""
    logits = read_planes(pick_output(outputs, name=spec.output.name), layout=spec.output.layout)
    return logits if tuple(logits.shape[-2:]) == size_hw else upsample(logits, size_hw=size_hw)


def predicted_mask(
    outputs: Mapping[str, Array], *, spec: ModelSpec, class_id: int, tile_hw: tuple[int, int]
) -> BoolArray:
    """(h, w) bool: where the only tile of a batch shows a class."""
    output = outputs[name_output(outputs, name=spec.output.name)]
    if is_class_ids(output):
        ids = as_numpy(read_class_ids(output, num_classes=len(spec.classes), size_hw=tile_hw))
        return np.asarray(ids[0] == class_id)
    logits = planes_of(outputs, spec=spec, size_hw=tile_hw)
    if not spec.is_binary:
        return np.asarray(as_numpy(logits)[0].argmax(axis=0) == class_id)
    plane, is_logit = foreground_plane(logits, spec=spec)
    scores = foreground_scores(plane, calibration=build_calibration(spec), is_logit=is_logit)
    is_foreground = as_numpy(scores)[0] >= spec.output.threshold
    return np.asarray(is_foreground if class_id == 1 else ~is_foreground)
