"""Explanations by looking into the model: its layers and its gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from inference_core.detection_spec import TorchvisionDecoder
from inference_core.engines.protocol import Array
from inference_core.errors import ConfigError
from inference_core.explain.attribution import integrated_gradients, saliency
from inference_core.explain.choose_aim import choose_aim
from inference_core.explain.explanation import Method
from inference_core.explain.found import Found, Wish, mean_color
from inference_core.explain.gradcam import gradcam
from inference_core.explain.gradient_model import GradientModel
from inference_core.explain.layers import name_layer, ranked_layers, trace_layers
from inference_core.explain.no_layer import NoLayerError
from inference_core.explain.operations import trace_operations
from inference_core.explain.reading import Reading
from inference_core.explain.spatial_form import SpatialLayer, spatial_hw
from inference_core.explain.targets import Aim, Target, Value, as_numpy
from inference_core.models.package import ModelPackage
from inference_core.records import FloatArray, Prepared, Uint8Array

MAX_TRIED = 24
"""Layers that are tried until a gradient reaches one."""


class SeenModel:
    """A model whose module is at hand. Views and dropout are left out: one plain forward is explained.

    Args:
        package: of a format that torch runs.
        device: a torch device name.

    Raises:
        ConfigError: the architecture cannot be built, or an extra is not installed.
        ModelError: the weights do not fit.
    """

    def __init__(self, package: ModelPackage, *, device: str) -> None:
        self._model = GradientModel(package, device=device)
        self._reading = Reading(package, is_merged=False)
        self._is_bchw = package.spec.input.layout == "BCHW"

    def explain(self, prepared: Prepared, method: Method, wish: Wish) -> Found:
        """What a method finds.

        Raises:
            ConfigError: the method, or the layer, does not go with the model.
            InputError: the model refuses the image, or its answer does not hold what is wished for.
        """
        check_decoder(self._reading, method=method)
        outputs = [self._read_tile(tile) for tile in prepared.tiles]
        result = self._reading.answer(outputs, prepared.placement)
        aim = choose_aim(
            result,
            outputs,
            prepared.placement,
            spec=self._reading.spec,
            is_decoded=self._reading.is_decoded,
            wish=wish,
        )
        value = sum(float(as_numpy(target.evidence(outputs[index]))[0]) for index, target in aim.targets.items())
        if method == "gradcam":
            return self._gradcam(prepared, aim, wish, value=value)
        return self._attribute(prepared, aim, method, value=value)

    def _read_tile(self, tile: Uint8Array) -> Mapping[str, Array]:
        with torch.no_grad():
            return self._reading.read(self._model.forward(self._model.normalize(tile[None]), keeps_masks=True))

    def _evidence(self, target: Target) -> Value:
        return lambda outputs: target.evidence(self._reading.read(outputs))

    def _gradcam(self, prepared: Prepared, aim: Aim, wish: Wish, *, value: float) -> Found:
        """The maps of one layer, for all tiles that have a part."""
        first = next(iter(aim.targets))
        layer = self._find_layer(prepared.tiles[first], aim.targets[first], wish.layer)
        heatmaps = np.zeros(prepared.tiles.shape[:3], np.float32)
        for index, target in aim.targets.items():
            values = self._model.normalize(prepared.tiles[index][None])
            heat = gradcam(self._model, values, layer=layer, evidence=self._evidence(target))
            if heat is not None:
                heatmaps[index] = as_numpy(heat)
        return Found(
            aim=aim, heatmaps=heatmaps, method="gradcam", value=value, layer=layer.name, engine=str(self._model)
        )

    def _find_layer(self, tile: Uint8Array, target: Target, name: str) -> SpatialLayer:
        """The named layer, or the first in rank that the target's gradient reaches.

        Raises:
            ConfigError: there is none.
        """
        values = self._model.normalize(tile[None])
        layers = trace_layers(self._model, values) if self._model.has_layers else trace_operations(self._model, values)
        if name:
            return name_layer(self._model, layers, name, values)
        ranked = ranked_layers(layers, task=self._reading.spec.task, input_hw=spatial_hw(values))
        for layer in ranked[:MAX_TRIED]:
            if gradcam(self._model, values, layer=layer, evidence=self._evidence(target)) is not None:
                return layer
        raise NoLayerError(
            "gradcam needs a layer whose output is a map of the input and that the answer depends on, the model has "
            "none behind a convolution; take occlusion, saliency or integrated_gradients, or name a layer",
            key="method",
        )

    def _attribute(self, prepared: Prepared, aim: Aim, method: Method, *, value: float) -> Found:
        """Saliency or integrated gradients of each tile that has a part."""
        heatmaps = np.zeros(prepared.tiles.shape[:3], np.float32)
        color = mean_color(prepared)
        baseline = self._model.normalize(np.full_like(prepared.tiles[:1], 0) + np.array(color, np.uint8))
        baseline_value, delta = 0.0, 0.0
        for index, target in aim.targets.items():
            values = self._model.normalize(prepared.tiles[index][None])
            if method == "saliency":
                slopes = saliency(self._model, values, evidence=self._evidence(target))
                heatmaps[index] = self._over_channels(slopes.abs(), reduce="max")
                continue
            path = integrated_gradients(self._model, values, baseline=baseline, evidence=self._evidence(target))
            heatmaps[index] = self._over_channels(path.attributions, reduce="sum")
            baseline_value += path.baseline_value
            delta += path.convergence_delta
        is_path = method == "integrated_gradients"
        return Found(
            aim=aim,
            heatmaps=heatmaps,
            method=method,
            value=value,
            baseline=color if is_path else None,
            baseline_value=baseline_value if is_path else None,
            convergence_delta=delta if is_path else None,
            engine=str(self._model),
        )

    def _over_channels(self, attributions: Tensor, *, reduce: str) -> FloatArray:
        """(h, w) of (1, C, h, w), or of (1, h, w, C): the largest, or the sum, which keeps the total."""
        axis = 1 if self._is_bchw else 3
        found = attributions.amax(dim=axis) if reduce == "max" else attributions.sum(dim=axis)
        return np.asarray(as_numpy(found)[0], np.float32)


def check_decoder(reading: Reading, *, method: Method) -> None:
    """Raise ConfigError for a path through a detector whose boxes keep no place on it."""
    if method == "integrated_gradients" and isinstance(reading.spec.output.decoder, TorchvisionDecoder):
        raise ConfigError(
            "integrated_gradients needs a detector whose boxes keep their place while the image changes, got decoder "
            "torchvision, which gives final boxes; take gradcam, saliency or occlusion",
            key="method",
        )
