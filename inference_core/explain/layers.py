"""The layers of a model whose outputs are maps of its input, in the order in which they run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from inference_core.errors import ConfigError
from inference_core.explain.gradient_model import GradientModel, forward_errors
from inference_core.explain.spatial_form import SpatialLayer, find_form, spatial_hw, tensor_of
from inference_core.explain.targets import Value
from inference_core.output_spec import TaskName

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
LEAST_SHARE = 64
"""Maps coarser than the input divided by this are pooled context, no features of places."""
MAX_NAMED = 10
"""Layers that a message names."""


def trace_layers(model: GradientModel, values: Tensor) -> list[SpatialLayer]:
    """The layers whose outputs are maps and come after a convolution, in order of their ends; containers too.

    Of tokens only what a normalisation gives counts: those of a transformer's last layers are many of one kind.

    Args:
        model: runs once.
        values: (1, ...) its input.
    """
    input_hw = spatial_hw(values)
    found: list[SpatialLayer] = []
    seen_convolution = False

    def note(name: str, module: nn.Module, output: Any) -> None:
        nonlocal seen_convolution
        seen_convolution = seen_convolution or isinstance(module, CONVOLUTIONS)
        tensor = tensor_of(output)
        if tensor is None or not seen_convolution or not tensor.is_floating_point():
            return
        form = find_form(tuple(tensor.shape), input_hw=input_hw)
        if form is not None and (form.kind != "tokens" or "norm" in type(module).__name__.lower()):
            found.append(SpatialLayer(name=name, form=form))

    with hooked(model.module, note), torch.no_grad():
        model.forward(values)
    return found


@contextmanager
def hooked(module: nn.Module, note: Any) -> Iterator[None]:
    """Let ``note(name, module, output)`` see every output of a layer below a module."""

    def hook_of(name: str) -> Any:
        return lambda part, inputs, output: note(name, part, output)

    handles = [part.register_forward_hook(hook_of(name)) for name, part in module.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def layer_gradients(
    model: GradientModel, values: Tensor, *, name: str, evidence: Value
) -> list[tuple[Tensor, Tensor | None]]:
    """What a layer gives each time that it runs, and the gradient of the target by it, None where there is none.

    Args:
        model: runs forward, and back to the layer.
        values: (1, ...) its input.
        name: of the layer.
        evidence: reads what is explained from the outputs.
    """
    outputs: list[Tensor] = []

    def catch(module: nn.Module, inputs: Any, output: Any) -> Any:
        """Let the graph begin here; the copy may be changed in place by what follows."""
        tensor = tensor_of(output)
        if tensor is None:
            return None
        leaf = tensor.detach().clone().requires_grad_()
        outputs.append(leaf)
        return (leaf.clone(), *output[1:]) if isinstance(output, tuple) else leaf.clone()

    handle = model.module.get_submodule(name).register_forward_hook(catch)
    try:
        with torch.enable_grad(), forward_errors():
            value = evidence(model.forward(values)).sum()
            gradients = differentiate(value, outputs)
    finally:
        handle.remove()
    return [(output.detach(), gradient) for output, gradient in zip(outputs, gradients, strict=True)]


def differentiate(value: Tensor, outputs: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Gradients of a value; None of what it does not depend on."""
    if not value.requires_grad:
        return (None,) * len(outputs)
    return torch.autograd.grad(value, outputs, allow_unused=True)


def ranked_layers(
    layers: Sequence[SpatialLayer], *, task: TaskName, input_hw: tuple[int, int]
) -> Sequence[SpatialLayer]:
    """Layers in the order in which they are tried for a task.

    A class of the whole image comes from the last map. What is told of places comes from maps as fine as the answer,
    which say where but not why: there, the coarsest map is taken, whose cells see most.
    """
    if task in ("classification", "multilabel"):
        return list(reversed(layers))
    least = max(1, input_hw[0] * input_hw[1] // LEAST_SHARE**2)
    order = [(layer.form.num_cells, -index, layer) for index, layer in enumerate(layers)]
    return [layer for cells, _, layer in sorted(order, key=lambda entry: entry[:2]) if cells >= least]


def name_layer(model: GradientModel, layers: Sequence[SpatialLayer], name: str, values: Tensor) -> SpatialLayer:
    """The layer that a name stands for.

    Args:
        model: with the layer.
        layers: those that were traced.
        name: of the layer.
        values: of the model's input.

    Raises:
        ConfigError: the model has no such layer, or its output is no map.
    """
    for layer in reversed(layers):
        if layer.name == name:
            return layer
    modules = [part for part, _ in model.module.named_modules() if part] if model.has_layers else []
    known = modules or [layer.name for layer in layers]
    names = list(dict.fromkeys(layer.name for layer in reversed(layers)))
    shown = f"layers with a map, the last first: {', '.join(names[:MAX_NAMED]) or 'none'}"
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise ConfigError(f"must be a layer of the model, got {name!r}; {hint}{shown}", key="layer")
    untraced = untraced_layer(model, name, values)
    if untraced is None:
        raise ConfigError(f"must be a layer whose output is a map of the input, got {name!r}; {shown}", key="layer")
    return untraced


def untraced_layer(model: GradientModel, name: str, values: Tensor) -> SpatialLayer | None:
    """A layer that is not tried by itself, such as one of tokens before a normalisation."""
    input_hw = spatial_hw(values)
    found: list[SpatialLayer] = []

    def note(part: str, module: nn.Module, output: Any) -> None:
        tensor = tensor_of(output) if part == name else None
        form = None if tensor is None else find_form(tuple(tensor.shape), input_hw=input_hw)
        if form is not None:
            found.append(SpatialLayer(name=part, form=form))

    with hooked(model.module, note), torch.no_grad():
        model.forward(values)
    return found[-1] if found else None
