"""The weights of a torch package's layers: read as arrays, replaced, or stored in half precision."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from inference_core.convert.export_package import example_hw
from inference_core.convert.quiet import quiet
from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.convert.to_program import export_program
from inference_core.models.package import ModelPackage
from inference_core.optimise.fuse import capture_graph
from inference_core.records import FloatArray

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

MAX_HALF = float(np.finfo(np.float16).max)


def read_layer_weights(package: ModelPackage) -> dict[str, FloatArray]:
    """Float32 weights of convolutions and linear layers, by name, of a state dict or a captured program."""
    return {name: tensor.float().numpy() for name, tensor in layer_tensors(package).items()}


def replace_layer_weights(package: ModelPackage, weights: Mapping[str, FloatArray]) -> ModelPackage:
    """The package with other values in some weights, which keep their dtype and memory layout.

    Args:
        package: of format state_dict or torch_export; not modified.
        weights: by the names of ``read_layer_weights``.
    """
    import torch

    if package.spec.format == "state_dict":
        _, state = build_state(package)
        return with_state({**state, **{name: torch.from_numpy(value) for name, value in weights.items()}}, package)
    program = load_program_of(package)
    for name, value in weights.items():
        program.state_dict[name].data.copy_(torch.from_numpy(value))
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer)
    return with_weights(package, weights_format="torch_export", files={FILE_NAMES["torch_export"]: buffer.getvalue()})


def halve_weights(package: ModelPackage) -> ModelPackage:
    """The package with its weights stored as fp16; they are turned back before they are used.

    What has fewer than two axes (biases, statistics) stays: it weighs nothing. So does what fp16 cannot hold.

    Args:
        package: of format state_dict or torch_export; not modified.
    """
    if package.spec.format == "state_dict":
        _, state = build_state(package)
        halved = {name: tensor.half() if fits_half(tensor) else tensor for name, tensor in state.items()}
        return with_state(halved, package)
    import torch
    from torch import nn

    from inference_core.optimise.fold import is_stored, value_of

    graph, batch = capture_graph(package)
    for node in [node for node in graph.graph.nodes if is_stored(node)]:
        value = value_of(graph, node)
        if value is None or not fits_half(value):
            continue
        holder, _, name = str(node.target).rpartition(".")
        setattr(graph.get_submodule(holder), name, nn.Parameter(value.half(), requires_grad=False))
        with graph.graph.inserting_after(node):
            widened = graph.graph.call_function(torch.ops.aten.to.dtype, (node, torch.float32))
        node.replace_all_uses_with(widened, delete_user_cb=lambda user, own=widened: user is not own)
    graph.recompile()
    data = export_program(graph, package.spec.input, tile_hw=example_hw(package), batch=batch)
    return with_weights(package, weights_format="torch_export", files={FILE_NAMES["torch_export"]: data})


def fits_half(tensor: Tensor) -> bool:
    """Whether a tensor is a float32 weight that fp16 can hold."""
    import torch

    is_weight = tensor.dtype == torch.float32 and tensor.ndim > 1 and tensor.numel() > 0
    return is_weight and float(tensor.abs().max()) <= MAX_HALF


def layer_tensors(package: ModelPackage) -> dict[str, Tensor]:
    """Weights of convolutions and linear layers, by name."""
    from torch import nn
    from torch.nn.modules.conv import _ConvNd

    from inference_core.optimise.fold import WEIGHTED

    if package.spec.format == "state_dict":
        module, state = build_state(package)
        paths = [name for name, layer in module.named_modules() if isinstance(layer, _ConvNd | nn.Linear)]
        names = [f"{path}.weight" if path else "weight" for path in paths]
        return {name: state[name] for name in names if name in state}  # parametrised ones have other names
    program = load_program_of(package)
    stored = program.graph_signature.inputs_to_parameters
    used: dict[str, Any] = {
        stored[node.args[1].name]: None
        for node in program.graph.nodes
        if node.target in WEIGHTED and node.args[1].name in stored
    }
    return {name: program.state_dict[name].detach() for name in used}


def build_state(package: ModelPackage) -> tuple[nn.Module, dict[str, Tensor]]:
    """The module of a state dict, and its tensors by name."""
    from inference_core.models.torch_module import build_module

    module = build_module(package).module
    return module, module.state_dict()


def with_state(state: Mapping[str, Tensor], package: ModelPackage) -> ModelPackage:
    """The package around a state dict."""
    import safetensors.torch

    # Copies, since safetensors refuses tensors that share their memory.
    data = safetensors.torch.save({name: tensor.contiguous().clone() for name, tensor in state.items()})
    return with_weights(package, weights_format="state_dict", files={FILE_NAMES["state_dict"]: data})


def load_program_of(package: ModelPackage) -> ExportedProgram:
    """The captured program."""
    from inference_core.models.exported_program import load_program

    with quiet():
        return load_program(package.weights)
