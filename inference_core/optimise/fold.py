"""Batch norms folded into the convolution or linear layer before them, in a graph that torch.export captured."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

ATEN = torch.ops.aten
CONVOLUTIONS = (ATEN.conv1d.default, ATEN.conv2d.default, ATEN.conv3d.default)
PADDED = (ATEN.conv1d.padding, ATEN.conv2d.padding, ATEN.conv3d.padding)
TRANSPOSED = (ATEN.conv_transpose1d.default, ATEN.conv_transpose2d.input, ATEN.conv_transpose3d.input)
LINEAR = (ATEN.linear.default,)
FOLDABLE = (*CONVOLUTIONS, *PADDED, *TRANSPOSED, *LINEAR)
WEIGHTED = (*FOLDABLE, ATEN.convolution.default)
"""Operators whose second argument is their weight."""
GROUPS_POSITION = 6
"""Of a transposed convolution's arguments."""


def fold_batch_norms(graph: GraphModule) -> int:
    """Fold every batch norm that follows a convolution or linear layer alone; changes the graph.

    A layer whose output goes elsewhere too keeps its batch norm, and so does a grouped transposed convolution. Weights
    that several layers share are copied.

    Args:
        graph: of ``ExportedProgram.module()``, captured in evaluation mode.

    Returns:
        How many were folded.
    """
    folded = 0
    for norm in find_batch_norms(graph):
        source = norm.args[0]
        if isinstance(source, Node) and can_take(source):
            fold_one(graph, source, norm, index=folded)
            folded += 1
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()
    return folded


def find_batch_norms(graph: GraphModule) -> list[Node]:
    """Batch norms that use their running statistics."""
    return [node for node in graph.graph.nodes if node.target is ATEN.batch_norm.default and not node.args[5]]


def can_take(source: Node) -> bool:
    """Whether a batch norm behind this node can become part of its weights."""
    if source.target not in FOLDABLE or len(source.users) != 1:
        return False
    is_grouped = source.target in TRANSPOSED and argument(source, GROUPS_POSITION, 1) != 1
    weights = (source.args[1], argument(source, 2, None))
    return not is_grouped and all(weight is None or is_stored(weight) for weight in weights)


def fold_one(graph: GraphModule, source: Node, norm: Node, *, index: int) -> None:
    """Give one layer the weights and the bias that it and its batch norm have together."""
    weight, bias = value_of(graph, source.args[1]), value_of(graph, argument(source, 2, None))
    scale, shift, mean, variance = (value_of(graph, entry) for entry in norm.args[1:5])
    epsilon = norm.args[7]
    assert isinstance(weight, Tensor), "can_take saw a stored weight"
    assert isinstance(mean, Tensor), "a batch norm in evaluation mode has statistics"
    assert isinstance(variance, Tensor), "a batch norm in evaluation mode has statistics"
    assert isinstance(epsilon, float), "the operator's eighth argument is epsilon"
    fuse: Any = fuse_linear_bn_weights if source.target in LINEAR else fuse_conv_bn_weights
    options = {"transpose": True} if source.target in TRANSPOSED else {}
    new_weight, new_bias = fuse(weight, bias, mean, variance, epsilon, scale, shift, **options)
    with graph.graph.inserting_before(source):
        stored = [
            store(graph, f"fused_{index}_{name}", value) for name, value in (("weight", new_weight), ("bias", new_bias))
        ]
    source.args = (source.args[0], *stored, *source.args[3:])
    norm.replace_all_uses_with(source)
    graph.graph.erase_node(norm)


def store(graph: GraphModule, name: str, value: Tensor) -> Node:
    """A new parameter and the node that reads it."""
    graph.register_parameter(name, nn.Parameter(value.detach(), requires_grad=False))
    return graph.graph.get_attr(name)


def argument(node: Node, position: int, default: Any) -> Any:
    """A positional argument, which graphs leave out where it has its default."""
    return node.args[position] if len(node.args) > position else default


def is_stored(node: Any) -> bool:
    """Whether a node reads a parameter or buffer."""
    return isinstance(node, Node) and node.op == "get_attr"


def value_of(graph: GraphModule, node: Any) -> Tensor | None:
    """The parameter or buffer that a node reads; None for an absent one."""
    if not is_stored(node):
        return None
    value: Any = graph
    for part in str(node.target).split("."):
        value = getattr(value, part)
    assert isinstance(value, Tensor), "what a captured graph stores are tensors"
    return value.detach()
