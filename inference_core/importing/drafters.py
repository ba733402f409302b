"""Which module reads which kind of model; each is loaded with the libraries of its kind, when one comes."""

from __future__ import annotations

from inference_core.architecture_spec import Format
from inference_core.errors import ConfigError
from inference_core.importing.draft import Draft
from inference_core.importing.given import Given
from inference_core.importing.source import Source
from inference_core.models.weights import Weights, read_weights


def draft_source(source: Source, *, given: Given) -> Draft:
    """What a source tells by itself.

    Raises:
        ConfigError: an extra is not installed, the user's facts do not fit, or the source is a package already.
        ModelError: the source cannot be read, or it takes no images.
    """
    match source.kind:
        case "timm":
            from inference_core.importing.from_timm import draft_timm

            return draft_timm(source.uri, given=given.values)
        case "huggingface":
            from inference_core.importing.from_huggingface import draft_huggingface

            return draft_huggingface(source.uri, given=given.values)
        case "lightning":
            from inference_core.importing.from_lightning import draft_lightning

            return draft_lightning(source.uri, given=given.values)
        case "package":
            raise ConfigError(
                f"source must be no package yet, got {source.text}, which holds model.yaml; use it as it is"
            )
        case weights_format:
            weights = read_weights(source.uri, weights_format=weights_format)
            return draft_weights(weights, weights_format, given=given)


def draft_weights(weights: Weights, weights_format: Format, *, given: Given) -> Draft:
    """What weights tell that stand for themselves."""
    match weights_format:
        case "onnx":
            from inference_core.importing.from_onnx import draft_onnx

            return draft_onnx(weights, given=given.values)
        case "tflite":
            from inference_core.importing.from_tflite import draft_tflite

            return draft_tflite(weights, given=given.values)
        case "keras":
            from inference_core.importing.from_keras import draft_keras

            return draft_keras(weights, given=given.values)
        case "savedmodel":
            from inference_core.importing.from_openvino import draft_savedmodel

            return draft_savedmodel(weights, given=given.values)
        case "openvino":
            from inference_core.importing.from_openvino import draft_openvino

            return draft_openvino(weights, given=given.values)
        case "torchscript":
            from inference_core.importing.from_torchscript import draft_torchscript

            return draft_torchscript(weights, given=given.values)
        case "torch_export":
            from inference_core.importing.from_torch_export import draft_program

            return draft_program(weights, given=given.values)
        case _:
            from inference_core.importing.from_state_dict import draft_state_dict

            return draft_state_dict(weights, given=given.values)
