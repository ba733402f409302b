"""A module whose outputs have the names that the torch engine gives them, whatever the original returns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from inference_core.engines.torch_engine import FORWARD_ERRORS, first_line, name_outputs
from inference_core.errors import ModelError


class NamedOutputs(nn.Module):
    """Wraps a module in evaluation mode; what it returns can be captured.

    Args:
        module: returns what the torch engine takes.
        as_tuple: give several outputs as a tuple, for formats that name them elsewhere; else as a mapping by name.
    """

    def __init__(self, module: nn.Module, *, as_tuple: bool) -> None:
        super().__init__()
        self._module = module
        self._as_tuple = as_tuple
        self.training = False  # not through eval(), which captured graphs refuse

    def forward(self, values: Tensor) -> Any:
        """One tensor, or all of them by name or in order."""
        raw = self._module(values)
        outputs = name_outputs(raw)
        if self._as_tuple:
            return tuple(outputs.values())
        return outputs["output"] if isinstance(raw, Tensor) else outputs


@torch.no_grad()
def find_output_names(module: nn.Module, example: Tensor) -> tuple[str, ...]:
    """Names of a module's outputs, in order.

    Raises:
        ModelError: it does not take the example.
    """
    try:
        return tuple(name_outputs(module(example)))
    except FORWARD_ERRORS as exc:
        raise ModelError(
            f"the model must take a batch of shape {list(example.shape)}, but refused it: {first_line(exc)}; check "
            "input in model.yaml"
        ) from exc
