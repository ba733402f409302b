"""A package in half precision: weights stored in 16 bits, or arithmetic in 16 bits too."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core.convert.clean_graph import import_onnx
from inference_core.convert.export_package import convert_graph
from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.convert.to_half import halve_graph
from inference_core.models.package import ModelPackage
from inference_core.optimise.names import match_names
from inference_core.optimise.read_graph import read_graph
from inference_core.optimise.recipe import TO_IR

STORED_NOTE = "weights are stored as fp16 and widened before they are used: half the size, arithmetic as before"


def halve_stored(package: ModelPackage) -> tuple[ModelPackage, str]:
    """The package with fp16 weights and its arithmetic as it was, and what was done.

    Args:
        package: of a format that torch.export captures, onnx, or one that OpenVINO writes as its IR.
    """
    if package.spec.format in TO_IR:
        return convert_graph(package, half=True), STORED_NOTE
    if package.spec.format == "onnx":
        from inference_core.optimise import onnx_weights

        data = onnx_weights.halve_weights(read_graph(package))
        return with_weights(package, weights_format="onnx", files={FILE_NAMES["onnx"]: data}), STORED_NOTE
    from inference_core.optimise import torch_weights
    from inference_core.optimise.fuse import capture_package

    return torch_weights.halve_weights(capture_package(package)), STORED_NOTE


def halve_arithmetic(package: ModelPackage, *, keep_float: Sequence[str] = ()) -> tuple[ModelPackage, str]:
    """The package of format onnx with fp16 weights and arithmetic, and what was done."""
    graph = read_graph(package)
    names = [node.name for node in import_onnx().load_from_string(graph).graph.node]
    data = halve_graph(graph, keep_nodes=match_names(keep_float, names))
    note = "weights and arithmetic are fp16, inputs and outputs fp32: for GPUs, since processors compute fp32 faster"
    return with_weights(package, weights_format="onnx", files={FILE_NAMES["onnx"]: data}), note
