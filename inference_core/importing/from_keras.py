"""What a Keras file tells: its configuration names every layer, read here as text, without building any."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference_core.errors import ConfigError, ModelError
from inference_core.importing.draft import Draft, Fact
from inference_core.importing.graph import draft_graph
from inference_core.importing.input_facts import GraphInput, only_input
from inference_core.models.weights import Weights

MODELS = ("Functional", "Sequential", "Model")
"""Layers that hold layers."""
PASSES = ("Reshape", "Flatten", "Dropout", "Permute", "InputLayer")
"""Layers behind which an activation is still the last."""
SHAPE_KEYS = ("batch_shape", "batch_input_shape")
"""Of an input's configuration: Keras 3's, and Keras 2's."""
ENDINGS = ("softmax", "sigmoid")

Layer = Mapping[str, Any]


def draft_keras(weights: Weights, *, given: Mapping[str, Any]) -> Draft:
    """The facts in a model's configuration.

    Args:
        weights: a ``.keras`` or ``.h5`` file.
        given: the user's facts by dotted key.

    Raises:
        ConfigError: Keras is not installed, or the user's classes do not fit.
        ModelError: the file holds no model, or it takes something else than one image batch.
    """
    model = read_model_config(weights)
    layers = list(flat_layers(model))
    port = only_input(list_inputs(model))
    return draft_graph(weights, "keras", port=port, given=given, known=pixel_facts(layers), ending=find_ending(layers))


def read_model_config(weights: Weights) -> Layer:
    """The configuration of the model as Keras wrote it."""
    data = weights.data
    text = read_h5_config(data, name=weights.name) if data[:4] == b"\x89HDF" else read_keras_config(data)
    try:
        config = json.loads(text or "")
    except ValueError:
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise ModelError(
            f"model must be a whole Keras model, got {weights.name} with weights alone or none; save it with "
            "model.save('model.keras')"
        )
    return config


def read_keras_config(data: bytes) -> str | bytes | None:
    """The configuration in a ``.keras`` archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.read("config.json")
    except (zipfile.BadZipFile, KeyError):
        return None


def read_h5_config(data: bytes, *, name: str) -> str | bytes | None:
    """The configuration in an HDF5 file."""
    try:
        import h5py
    except ImportError as exc:
        raise ConfigError("format keras needs Keras 3; pip install 'millrace[keras]'") from exc
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            found: str | bytes | None = file.attrs.get("model_config")
            return found
    except OSError as exc:
        raise ModelError(f"model must be an HDF5 file of Keras, got {name} ({exc}); save it again") from exc


def own_layers(model: Layer) -> Sequence[Layer]:
    """The layers directly in a model."""
    layers = model["config"].get("layers", [])
    return [layer for layer in layers if isinstance(layer, dict) and isinstance(layer.get("config"), dict)]


def flat_layers(model: Layer) -> Iterator[Layer]:
    """All layers in the order in which they were made; those of a model inside come in its place."""
    for layer in own_layers(model):
        if layer.get("class_name") in MODELS:
            yield from flat_layers(layer)
        else:
            yield layer


def list_inputs(model: Layer) -> list[GraphInput]:
    """The inputs of the model itself."""
    layers = own_layers(model)
    found = [read_input(layer) for layer in layers if layer.get("class_name") == "InputLayer"]
    if found:
        return found
    if layers and layers[0].get("class_name") in MODELS:
        return list_inputs(layers[0])
    return [read_input(layers[0])] if layers else []


def read_input(layer: Layer) -> GraphInput:
    """The input that a layer's configuration describes; of images of any size where it says none."""
    config = layer["config"]
    shape = next((config[key] for key in SHAPE_KEYS if config.get(key)), None)
    if shape is None:
        shape = (layer.get("build_config") or {}).get("input_shape") or (None, None, None, 3)
    return GraphInput(
        name=str(config.get("name", "input")),
        shape=tuple(size if isinstance(size, int) and size > 0 else None for size in shape),
    )


def pixel_facts(layers: Sequence[Layer]) -> Draft:
    """That the model scales pixels itself, where a layer of it does."""
    raw = {"input.scale": 1.0, "input.mean": [0.0], "input.std": [1.0]}
    for layer in layers:
        name = layer["config"].get("name")
        if layer.get("class_name") == "Rescaling":
            origin = f"layer {name} inside the model scales the pixels"
            return Draft(found=tuple(Fact(key=key, value=value, origin=origin) for key, value in raw.items()))
        if layer.get("class_name") == "Normalization":
            origin = f"layer {name} inside the model normalises; what it takes is mostly the pixels"
            return Draft(
                found=(), assumed=tuple(Fact(key=key, value=value, origin=origin) for key, value in raw.items())
            )
    return Draft(found=())


def find_ending(layers: Sequence[Layer]) -> str | None:
    """``softmax`` or ``sigmoid`` where the last layer applies it."""
    for layer in reversed(layers):
        if layer.get("class_name") in PASSES:
            continue
        if layer.get("class_name") == "Softmax":
            return "softmax"
        activation = layer["config"].get("activation")
        return activation if activation in ENDINGS else None
    return None
