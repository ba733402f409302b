"""Trace a module: what one forward does, as TorchScript."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from inference_core.convert.capture import exporter_door
from inference_core.convert.quiet import quiet
from inference_core.errors import ModelError


def trace_module(module: nn.Module, example: Tensor, *, is_traceable: bool) -> torch.jit.ScriptModule:
    """The trace of a forward; scripts within stay scripts, branches and all.

    Args:
        module: in evaluation mode.
        example: a batch.
        is_traceable: whether torch.export has proven that no number of Python comes from pixels. Without that proof a
            module is refused that turns tensors into such numbers: a trace would keep those of the example.

    Raises:
        ModelError: it may branch on pixels.
        CaptureError: it cannot be traced.
    """
    with exporter_door(), quiet(), warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always", TracerWarning)
        # Mappings among the outputs need the loose mode; what a trace got wrong is told by running it.
        traced = torch.jit.trace(module, example, strict=False, check_trace=False)  # type: ignore[no-untyped-call]
    doubts = [str(entry.message) for entry in caught if issubclass(entry.category, TracerWarning)]
    if doubts and not is_traceable:
        raise ModelError(
            "the model must do the same whatever the pixels are, but a trace may keep what it did for one image "
            f"({doubts[0].partition('. ')[0]}); rewrite that part with tensor operations such as torch.where, move it "
            "into a hook, or run the package as it is"
        )
    return traced  # type: ignore[no-any-return]
