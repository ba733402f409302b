"""A torch module as a TorchScript archive: traced, or scripted where a trace would fix a branch."""

from __future__ import annotations

import io

import torch
from torch import Tensor, nn

from inference_core.convert.capture import (
    CaptureError,
    capture_program,
    exporter_door,
    is_traceable,
    make_example,
    reason_of,
)
from inference_core.convert.named_outputs import NamedOutputs, find_output_names
from inference_core.convert.quiet import quiet
from inference_core.convert.trace import trace_module
from inference_core.engines.torch_engine import FORWARD_ERRORS, name_outputs
from inference_core.errors import ModelError
from inference_core.input_spec import InputSpec

OTHER_BATCH = 3
"""Of the check that a trace has not fixed the batch of its example."""
CHECK_TOLERANCE = 1e-4
"""Largest difference of that check; the kernels of another batch size may add in another order."""


def export_torchscript(
    module: nn.Module, spec: InputSpec, *, tile_hw: tuple[int, int], batch: int | None = None
) -> bytes:
    """The archive of a module.

    Args:
        module: in evaluation mode, on the CPU; not modified.
        spec: the package's input.
        tile_hw: height and width of the example.
        batch: images per forward, None leaves them free.

    Raises:
        ModelError: the module can neither be traced nor scripted; the message says why.
    """
    example = make_example(spec, tile_hw=tile_hw, batch=batch)
    find_output_names(module, example)
    wrapped = NamedOutputs(module, as_tuple=False)
    try:
        is_safe = is_traceable(capture_program(wrapped, spec, tile_hw=tile_hw, batch=batch))
    except CaptureError:
        is_safe = False
    except ModelError as exc:
        return archive_bytes(script_module(module, refusal=exc))
    try:
        traced = trace_module(wrapped, example, is_traceable=is_safe)
    except CaptureError as exc:
        raise ModelError(f"the model must be one that torch.jit traces: {exc}; export to onnx") from exc
    except ModelError as exc:
        return archive_bytes(script_module(module, refusal=exc))
    if batch is None:
        check_other_batch(traced, wrapped, make_example(spec, tile_hw=tile_hw, batch=OTHER_BATCH))
    return archive_bytes(traced)


def script_module(module: nn.Module, *, refusal: ModelError) -> torch.jit.ScriptModule:
    """The module's code, compiled.

    Args:
        module: in evaluation mode.
        refusal: why it cannot be traced; raised where it cannot be scripted either.
    """
    try:
        with exporter_door(), quiet():
            return torch.jit.script(module)
    except CaptureError as exc:
        raise ModelError(f"{refusal} (torch.jit.script refused it too: {exc})") from exc


def check_other_batch(traced: nn.Module, module: nn.Module, example: Tensor) -> None:
    """Raise ModelError unless a trace gives for another batch size what the module gives."""
    with torch.no_grad():
        wanted = name_outputs(module(example))
        try:
            found = name_outputs(traced(example))
        except FORWARD_ERRORS as exc:
            raise ModelError(
                f"the trace must take any number of images, but refused {len(example)} ({reason_of(exc)}); give "
                "--batch N"
            ) from exc
    for name, value in wanted.items():
        if found[name].shape != value.shape or not torch.allclose(
            found[name].double(), value.double(), rtol=CHECK_TOLERANCE, atol=CHECK_TOLERANCE
        ):
            raise ModelError(
                f"the trace must answer {len(example)} images as the model does, but output {name} differs; give "
                "--batch N, or export to onnx"
            )


def archive_bytes(module: torch.jit.ScriptModule) -> bytes:
    """The file that torch.jit.save writes."""
    buffer = io.BytesIO()
    with quiet():
        torch.jit.save(module, buffer)
    return buffer.getvalue()
