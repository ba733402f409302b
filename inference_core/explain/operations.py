"""The maps of a graph without layers: what its single operations give, and how a value grows with it.

A script, an exported program or a model of Keras runs past the hooks of modules. Its operations are seen where torch
dispatches them, and the gradients of what they give where the backward pass begins with their node of the graph. Both
carry the number that autograd gives each node as it is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from inference_core.explain.gradient_model import GradientModel, forward_errors
from inference_core.explain.spatial_form import SpatialLayer, find_form, spatial_hw, tensor_of
from inference_core.explain.targets import Value

NO_FEATURES = (
    *("cat", "stack", "view", "reshape", "unsafe_view", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand"),
    *("slice", "select", "split", "split_with_sizes", "index", "flip", "roll", "clone", "copy", "to_copy", "detach"),
    *("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "sigmoid", "softmax", "log_softmax"),
)
"""Operations that move values or turn them into scores: what they give is no layer's work."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operation:
    """One of a forward."""

    name: str
    """Of the operation, with a number from its second on, as torch.export names them: ``relu``, ``relu_1``."""
    kind: str
    """The name without number."""
    node_number: int
    """Of its node in the graph of gradients, where there is one."""
    output: Tensor


class OperationLog(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what operations behind the first convolution give, while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counts: Counter[str] = Counter()
        self._found: list[Operation] = []
        self._seen_convolution = False
        self._last_number = -1

    @property
    def operations(self) -> Sequence[Operation]:
        """In the order in which they ran."""
        return self._found

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and note it."""
        output = function(*args, **(kwargs or {}))
        self._seen_convolution = self._seen_convolution or "convolution" in str(function)
        tensor = tensor_of(output)
        if self._seen_convolution and tensor is not None and tensor.ndim > 0 and tensor.is_floating_point():
            self._note(function, tensor)
        return output

    def _note(self, function: Any, tensor: Tensor) -> None:
        number = torch.autograd._get_sequence_nr() - 1  # type: ignore[attr-defined]  # of the node that was made last
        if number == self._last_number:  # without a node of its own, as what gradients keep for later
            return
        self._last_number = number
        kind = str(function).split(".")[1].strip("_")
        count = self._counts[kind]
        self._counts[kind] += 1
        if function._schema.is_mutable:  # what lay there before is gone
            self._found = [one for one in self._found if one.output.data_ptr() != tensor.data_ptr()]
        name = f"{kind}_{count}" if count else kind
        self._found.append(Operation(name=name, kind=kind, node_number=number, output=tensor))


@contextmanager
def logged(values: Tensor) -> Iterator[tuple[OperationLog, Tensor]]:
    """A log of operations, and the input that they begin with; scripts run one operation after the other."""
    log = OperationLog()
    leaf = values.detach().clone().requires_grad_()
    with torch.enable_grad(), torch.jit.optimized_execution(False), log:  # type: ignore[attr-defined]
        yield log, leaf


def trace_operations(model: GradientModel, values: Tensor) -> list[SpatialLayer]:
    """The operations whose outputs are maps of the input and come after a convolution, in order.

    Of tokens only what a normalisation gives counts.

    Args:
        model: runs once.
        values: (1, ...) its input.
    """
    input_hw = spatial_hw(values)
    with logged(values) as (log, leaf):
        model.forward(leaf)
    found = []
    for one in log.operations:
        if one.kind in NO_FEATURES or len(one.output) != model.num_filled(len(values)):
            continue
        form = find_form(tuple(one.output.shape), input_hw=input_hw)
        if form is not None and (form.kind != "tokens" or "norm" in one.kind):
            found.append(SpatialLayer(name=one.name, form=form))
    return found


def operation_gradients(
    model: GradientModel, values: Tensor, *, name: str, evidence: Value
) -> list[tuple[Tensor, Tensor | None]]:
    """What an operation gives and the gradient of the target by it, None where there is none.

    Args:
        model: runs forward and back.
        values: (1, ...) its input.
        name: of the operation.
        evidence: reads what is explained from the outputs.

    Returns:
        One pair, none where there is no such operation.
    """
    with forward_errors():
        with logged(values) as (log, leaf):
            value = evidence(model.forward(leaf)).sum()
        chosen = next((one for one in log.operations if one.name == name), None)
        if chosen is None:
            return []
        slope = slope_at(value, leaf, node_number=chosen.node_number)
    count = len(values)
    return [(chosen.output.detach()[:count], None if slope is None else slope[:count])]


def slope_at(value: Tensor, leaf: Tensor, *, node_number: int) -> Tensor | None:
    """The gradient of a value by what a node of its graph gives, None where the graph has no such node.

    Args:
        value: of one number.
        leaf: what the graph begins with.
        node_number: of the node.
    """
    node = nodes_below(value).get(node_number)
    if node is None:
        return None
    slopes: list[Tensor] = []

    def keep(gradients: tuple[Tensor | None, ...]) -> None:
        if gradients[0] is not None:
            slopes.append(gradients[0].detach())

    handle = node.register_prehook(keep)
    try:
        torch.autograd.grad(value, leaf, allow_unused=True)
    finally:
        handle.remove()
    return slopes[0] if slopes else None


def nodes_below(value: Tensor) -> Mapping[int, Any]:
    """All nodes that a value depends on, by number."""
    found: dict[int, Any] = {}
    todo, seen = [value.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found[node._sequence_nr()] = node
        todo += [following for following, _ in node.next_functions]
    return found
