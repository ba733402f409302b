"""Magnitude pruning of a package."""

from __future__ import annotations

import zlib

from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from inference_core.models.weights import Weights
from inference_core.optimise.magnitude import prune_smallest, zeros_frac
from inference_core.optimise.read_graph import read_graph

COMPRESSION_LEVEL = 6
"""That of zip and gzip by default."""


def prune_package(package: ModelPackage, *, frac: float) -> tuple[ModelPackage, str]:
    """The package with the smallest weights of its convolutions and linear layers set to zero, and what was done.

    Args:
        package: of a format that torch.export captures, or onnx. Beside state dicts the former become torch_export.
        frac: share of these weights, all layers together.

    Raises:
        ConfigError: there are no such layers.
    """
    is_onnx = package.spec.format == "onnx"
    if is_onnx:
        from inference_core.optimise import onnx_weights

        weights = onnx_weights.read_layer_weights(read_graph(package))
    else:
        from inference_core.optimise import torch_weights
        from inference_core.optimise.fuse import capture_package

        package = capture_package(package)
        weights = torch_weights.read_layer_weights(package)
    if not weights:
        raise ConfigError(
            "must have convolutions or linear layers with float32 weights, got none; leave the option away",
            key="--prune",
        )
    pruned = prune_smallest(weights, frac=frac)
    if is_onnx:
        data = onnx_weights.replace_layer_weights(read_graph(package), pruned)
        result = with_weights(package, weights_format="onnx", files={FILE_NAMES["onnx"]: data})
    else:
        result = torch_weights.replace_layer_weights(package, pruned)
    num_values = sum(weight.size for weight in pruned.values())
    note = (
        f"{zeros_frac(pruned):.1%} of {num_values:,} weights in {len(pruned)} layers are zero; compressed "
        f"{compressed_bytes(package.weights):,} -> {compressed_bytes(result.weights):,} bytes. Zeros without structure "
        "save space where files are compressed, and no time in these engines"
    )
    return result, note


def compressed_bytes(weights: Weights) -> int:
    """Size of all files as zip or gzip would store them."""
    return sum(len(zlib.compress(data, COMPRESSION_LEVEL)) for data in weights.files.values())
