"""A torch module as the file of ``torch.export.save``."""

from __future__ import annotations

import io

import torch
from torch import nn

from inference_core.convert.capture import CaptureError, capture_program, make_example
from inference_core.convert.named_outputs import NamedOutputs, find_output_names
from inference_core.convert.quiet import quiet
from inference_core.errors import ModelError
from inference_core.input_spec import InputSpec


def export_program(module: nn.Module, spec: InputSpec, *, tile_hw: tuple[int, int], batch: int | None = None) -> bytes:
    """The ``.pt2`` file of a module.

    Args:
        module: in evaluation mode, on the CPU; not modified.
        spec: the package's input; ``native`` leaves height and width free.
        tile_hw: height and width of the example.
        batch: images per forward, None leaves them free.

    Raises:
        ModelError: torch.export cannot capture the module; the message says why.
    """
    find_output_names(module, make_example(spec, tile_hw=tile_hw, batch=batch))
    wrapped = NamedOutputs(module, as_tuple=False)
    try:
        program = capture_program(wrapped, spec, tile_hw=tile_hw, batch=batch)
    except CaptureError as exc:
        raise ModelError(f"the model must be one that torch.export captures: {exc}; export to onnx instead") from exc
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names files of this machine
    program.example_inputs = None  # as large as the weights of a small model
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer)
    return buffer.getvalue()
