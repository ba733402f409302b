"""Run a model on drawn images before anything is known of it but its input, to see what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.engines.build import build_engine
from inference_core.errors import DeviceMemoryError, EngineError
from inference_core.models.package import ModelPackage, model_digest
from inference_core.models.weights import Weights
from inference_core.runner import to_numpy
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings

SIZES_PX = (224, 256, 512, 640)
"""Tried where neither the graph nor the user says a size."""
Probed = dict[str, NDArray[Any]]
"""Outputs by name, each with the outputs of single images behind each other along its first axis."""


def probe(weights: Weights, *, settings: Mapping[str, Any]) -> tuple[Probed, tuple[int, int]] | None:
    """What a model gives for a black image, noise and a gradient, one at a time.

    Args:
        weights: of the model.
        settings: ``format``, ``architecture`` if the format needs one, and what is known of ``input``.

    Returns:
        The outputs, and the height and width they were made at; None where no size that was tried works.

    Raises:
        ConfigError: an extra is not installed.
        ModelError: the weights cannot be read, or the input does not fit.
    """
    facts = settings.get("input", {})
    sizes = [tuple(facts["size_hw"])] if facts.get("size_hw") else [(side, side) for side in SIZES_PX]
    package = probe_package(weights, settings=settings, size_hw=sizes[0])
    engine = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    for size_hw in sizes:
        images = draw_images(size_hw, num_channels=package.spec.input.num_channels)
        try:
            outputs = [engine.run(image[None]) for image in images]
        except (EngineError, DeviceMemoryError):
            continue
        found = {name: [to_numpy(each[name]) for each in outputs] for name in outputs[0]}
        return {name: np.concatenate(arrays) for name, arrays in found.items() if is_stackable(arrays)}, size_hw
    return None


def probe_package(weights: Weights, *, settings: Mapping[str, Any], size_hw: tuple[int, ...]) -> ModelPackage:
    """A package that asks nothing of the output: every model is an embedding until more is known."""
    own = settings.get("input", {})
    facts = {
        "name": "probe",
        "task": "embedding",
        "format": settings["format"],
        "weights": weights.name,
        "input": {
            "fit": "stretch",
            "size_hw": list(size_hw),
            "scale": own.get("scale", 127.5),
            "mean": own.get("mean", [1.0]),
            "std": own.get("std", [1.0]),
            "color": own.get("color", "rgb"),
            "layout": own.get("layout", "BCHW"),
        },
    }
    if settings.get("architecture"):
        facts["architecture"] = settings["architecture"]
    spec = build_settings(ModelSpec, facts, origin="the facts said")
    digest = model_digest(spec, weights_sha256=weights.sha256)
    return ModelPackage(uri="", spec=spec, weights_uri=weights.name, weights=weights, digest=digest)


def draw_images(size_hw: tuple[int, ...], *, num_channels: int) -> NDArray[np.uint8]:
    """(3, h, w, C) uint8: black, noise, and a gradient; the same every time."""
    height, width = size_hw
    noise = np.random.default_rng(0).integers(0, 256, (height, width, num_channels), np.uint8)
    rows, columns = np.linspace(0, 255, height)[:, None], np.linspace(0, 255, width)[None]
    gradient = np.broadcast_to(((rows + columns) / 2).astype(np.uint8)[..., None], noise.shape)
    return np.stack([np.zeros_like(noise), noise, gradient])


def is_stackable(arrays: list[NDArray[Any]]) -> bool:
    """Whether outputs of single images have one shape."""
    return all(array.ndim > 0 and array.shape[1:] == arrays[0].shape[1:] for array in arrays)
