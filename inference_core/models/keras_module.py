"""Read ``.keras`` and ``.h5`` files with Keras 3 on its torch backend, which makes the model a torch module."""

from __future__ import annotations

import os
import sys
from typing import Any

from torch import Tensor, nn

from inference_core.errors import ConfigError, ModelError
from inference_core.input_spec import InputSpec
from inference_core.models.graph_shape import check_input_shape
from inference_core.models.weights import Weights

BACKEND = "torch"

ENDINGS = (".keras", ".h5", ".hdf5")
"""Keras tells its two formats by these."""


def load_keras(weights: Weights, spec: InputSpec) -> nn.Module:
    """The model, for inference.

    Raises:
        ConfigError: Keras is not installed, or runs on another backend already.
        ModelError: the file is no Keras model, needs code that is not run, or its input does not fit the spec.
    """
    if not weights.name.endswith(ENDINGS):
        raise ModelError(f"weights must end in {', '.join(ENDINGS)} with format keras, got {weights.name}; rename it")
    keras = import_keras()
    try:
        with weights.on_disk() as path:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (
        ArithmeticError,
        AttributeError,
        ImportError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as exc:
        raise ModelError(
            f"weights must be a Keras model of built-in layers, got {weights.name}: {reason_of(exc)}; save it again "
            "with Keras 3, or export it as ONNX"
        ) from exc
    if len(model.inputs) != 1:
        raise ModelError(f"the Keras model must have one input, got {len(model.inputs)}; save it with the image alone")
    check_input_shape(model.inputs[0].shape, spec=spec)
    return KerasModule(model, keras)


def import_keras() -> Any:
    """Keras on torch.

    Raises:
        ConfigError: it is not installed, or it was imported with another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = BACKEND  # read once, on import
    try:
        import keras
    except ImportError as exc:
        raise ConfigError("format keras needs Keras 3; pip install 'millrace[keras]'") from exc
    backend = keras.config.backend()
    if backend != BACKEND:
        raise ConfigError(
            f"Keras must run on torch for format keras, got {backend}, which was loaded before; set KERAS_BACKEND=torch"
        )
    return keras


class KerasModule(nn.Module):
    """A Keras model that computes where its input lies; left alone, Keras moves it to a device of its own choice."""

    def __init__(self, model: nn.Module, keras: Any) -> None:
        super().__init__()
        self._model = model
        self._keras = keras

    def forward(self, values: Tensor) -> Any:
        """The model's outputs in evaluation mode."""
        with self._keras.device(str(values.device).replace("cuda", "gpu")):
            return self._model(values, training=False)


def reason_of(error: BaseException) -> str:
    """Keras's message on one line, cut where it is long."""
    return (" ".join(str(error).split()) or type(error).__name__)[:300]
