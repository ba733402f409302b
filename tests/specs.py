"""Small specs and packages for tests of the core: a few facts given, the rest plain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inference_core.input_spec import InputSpec
from inference_core.models.package import ModelPackage, model_digest
from inference_core.models.weights import Weights
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings

PLAIN_INPUT: dict[str, Any] = {"fit": "stretch", "size_hw": [8, 8]}


def input_spec(options: Mapping[str, Any] | None = None) -> InputSpec:
    """An input of 8 x 8 pixels with ``options`` on top; None as a value takes a fact away."""
    return build_settings(InputSpec, merged(PLAIN_INPUT, options), origin="test")


def spec_data(options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What ``model.yaml`` would hold: a classification model of three classes with ``options`` on top."""
    plain: dict[str, Any] = {
        "name": "tiny",
        "task": "classification",
        "format": "onnx",
        "weights": "tiny.onnx",
        "classes": ["red", "green", "blue"],
        "input": PLAIN_INPUT,
    }
    return merged(plain, options)


def model_spec(options: Mapping[str, Any] | None = None) -> ModelSpec:
    """The spec of ``spec_data``."""
    return build_settings(ModelSpec, spec_data(options), origin="test")


def package_of(weights: bytes, options: Mapping[str, Any] | None = None) -> ModelPackage:
    """A package that was never on disk."""
    spec = model_spec(options)
    files = Weights(name=spec.weights, files={spec.weights: weights})
    digest = model_digest(spec, weights_sha256=files.sha256)
    return ModelPackage(uri="", spec=spec, weights_uri=spec.weights, weights=files, digest=digest)


def merged(plain: Mapping[str, Any], options: Mapping[str, Any] | None) -> dict[str, Any]:
    """``plain`` with ``options`` on top, without those that are None."""
    return {key: value for key, value in {**plain, **(options or {})}.items() if value is not None}
