"""A torch module as an ONNX graph: one input ``image``, outputs named as the torch engine names them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from inference_core.convert.capture import (
    CaptureError,
    capture_program,
    exporter_door,
    free_axes,
    is_traceable,
    make_example,
)
from inference_core.convert.clean_graph import INPUT_NAME, check_size, finish_graph, fold_graph, import_onnx
from inference_core.convert.named_outputs import NamedOutputs, find_output_names
from inference_core.convert.quiet import quiet
from inference_core.convert.trace import trace_module
from inference_core.errors import ModelError
from inference_core.input_spec import InputSpec

OPSET = 18
"""Default version of the operators: what both exporters write without a conversion, and runtimes since 2023 read."""
EXPORTER_KEY = "millrace.exporter"
"""Entry of the file's metadata: what read the module, and why another one could not."""


def export_onnx(
    module: nn.Module,
    spec: InputSpec,
    *,
    tile_hw: tuple[int, int],
    batch: int | None = None,
    opset: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """The ONNX graph of a module, its weights inside.

    Captured by torch.export, which gives the smaller graph; where that cannot read the module (TorchScript, operators
    it does not know), by tracing.

    Args:
        module: in evaluation mode, on the CPU; not modified.
        spec: the package's input; ``native`` leaves height and width free.
        tile_hw: height and width of the example.
        batch: images per forward, None leaves them free.
        opset: version of the operators, None for OPSET.
        metadata: entries of the file, beside EXPORTER_KEY.

    Returns:
        The bytes of the ``.onnx`` file, constant-folded and checked.

    Raises:
        ConfigError: the exporters are not installed.
        ModelError: the module cannot be a graph; the message says why.

    Cost: seconds, and several times the size of the weights.
    """
    import_onnx()
    check_size(sum(tensor.nbytes for tensor in module.state_dict().values() if isinstance(tensor, Tensor)))
    example = make_example(spec, tile_hw=tile_hw, batch=batch)
    names = find_output_names(module, example)
    wrapped = NamedOutputs(module, as_tuple=True)
    axes = free_axes(spec, batch=batch)
    wanted = opset or OPSET
    try:
        graph = captured_graph(wrapped, spec, tile_hw=tile_hw, batch=batch, names=names, opset=wanted)
        exporter = "torch.export"
    except CaptureError as exc:
        graph = traced_graph(wrapped, example, axes=axes, names=names, opset=wanted, refusal=exc)
        exporter = f"torch.jit.trace, since torch.export does not do: {exc}"
    entries = {**(metadata or {}), EXPORTER_KEY: exporter}
    return finish_graph(graph, axes=axes, names=names, metadata=entries)


def captured_graph(
    module: nn.Module,
    spec: InputSpec,
    *,
    tile_hw: tuple[int, int],
    batch: int | None,
    names: Sequence[str],
    opset: int,
) -> Any:
    """The graph as onnx ModelProto, through torch.export.

    Raises:
        ModelError: no exporter may write the module down.
        CaptureError: another one may.
    """
    program = capture_program(module, spec, tile_hw=tile_hw, batch=batch)
    is_safe = is_traceable(program)
    with exporter_door(is_traceable=is_safe), quiet():
        written = torch.onnx.export(
            program,
            dynamo=True,
            input_names=[INPUT_NAME],
            output_names=list(names),
            opset_version=opset,
            verbose=False,
        )
    assert written is not None, "the exporter that captures gives a program"
    found = opset_of(written.model_proto)
    if found != opset:
        raise CaptureError(f"it writes operators of version {found}, not {opset}", is_traceable=is_safe)
    return written.model_proto


def traced_graph(
    module: nn.Module,
    example: Tensor,
    *,
    axes: Mapping[int, str],
    names: Sequence[str],
    opset: int,
    refusal: CaptureError,
) -> Any:
    """The graph as onnx ModelProto, through a trace of one forward; scripts keep their branches.

    Args:
        module: gives a tuple.
        example: a batch.
        axes: names of the input's free axes.
        names: of the outputs.
        opset: version of the operators.
        refusal: of the exporter that captures.

    Raises:
        ModelError: this exporter cannot read the module either.
    """
    onnx = import_onnx()
    buffer = io.BytesIO()
    try:
        # The exporter's own trace takes no script within a module; this one does.
        traced = trace_module(module, example, is_traceable=refusal.is_traceable)
        with exporter_door(), quiet(), torch.no_grad():
            torch.onnx.export(
                traced,
                (example,),
                buffer,  # type: ignore[arg-type]  # taken, but missing from the annotation
                dynamo=False,
                input_names=[INPUT_NAME],
                output_names=list(names),
                dynamic_axes={INPUT_NAME: dict(axes)} if axes else None,
                opset_version=opset,
            )
    except CaptureError as exc:
        raise ModelError(
            f"the model must be made of operators that ONNX has, but tracing failed ({exc}) and so did "
            f"torch.export ({refusal}); give another --opset, or export to torchscript"
        ) from exc
    return fold_graph(onnx.load_from_string(buffer.getvalue()))


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators in a graph."""
    return next(int(entry.version) for entry in model.opset_import if not entry.domain)
