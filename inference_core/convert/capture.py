"""Capture a module with ``torch.export``: the one reader of its code that tells what depends on the pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import UserError, UserErrorType
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from inference_core.convert.quiet import quiet
from inference_core.errors import ModelError
from inference_core.input_spec import InputSpec

EXAMPLE_BATCH = 2
"""Of a graph with a free batch: exporters take a batch of 1 for a fixed one."""

MAX_REASON_CHARS = 300


class CaptureError(Exception):
    """One exporter cannot write the module down; another one may. The text is the reason.

    Args:
        reason: why.
        is_traceable: whether a trace is known to do the same for all pixels, see ``is_traceable``.
    """

    def __init__(self, reason: str, *, is_traceable: bool = False) -> None:
        super().__init__(reason)
        self.is_traceable = is_traceable


@contextmanager
def exporter_door(*, is_traceable: bool = False) -> Iterator[None]:
    """The door to torch's exporters and, through them, to the model's code: whatever they raise is a CaptureError.

    Args:
        is_traceable: of the error.
    """
    try:
        yield
    except (CaptureError, ModelError):
        raise
    except Exception as exc:
        raise CaptureError(cause_of(exc), is_traceable=is_traceable) from exc


def make_example(spec: InputSpec, *, tile_hw: tuple[int, int], batch: int | None) -> Tensor:
    """A batch of the model's input, the same in every run and not blank.

    Args:
        spec: layout and channels.
        tile_hw: height and width.
        batch: images, None for EXAMPLE_BATCH.

    Returns:
        (B, C, h, w) or (B, h, w, C) float32 in [0, 1).
    """
    sizes = {"B": batch or EXAMPLE_BATCH, "C": spec.num_channels, "H": tile_hw[0], "W": tile_hw[1]}
    return torch.rand([sizes[axis] for axis in spec.layout], generator=torch.Generator().manual_seed(0))


def free_axes(spec: InputSpec, *, batch: int | None) -> dict[int, str]:
    """Names of the input's axes that stay free, by position: the batch, and both sizes for fit native."""
    wanted = {} if batch is not None else {"B": "batch"}
    wanted |= {"H": "height", "W": "width"} if spec.size_hw is None else {}
    return {spec.layout.index(axis): name for axis, name in wanted.items()}


def capture_program(
    module: nn.Module, spec: InputSpec, *, tile_hw: tuple[int, int], batch: int | None = None
) -> ExportedProgram:
    """The module as a graph, its free axes free.

    Args:
        module: in evaluation mode; takes one tensor.
        spec: the package's input.
        tile_hw: height and width of the example; for fit native some that are not special: no 1 inside the network.
        batch: images per forward, None leaves them free.

    Raises:
        ModelError: what the module does depends on the pixels, or it fixes an axis that must be free. No exporter
            may write that down as a graph.
        CaptureError: for another reason.
    """
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise CaptureError("its code is TorchScript")  # torch.export would follow one branch of it
    axes = free_axes(spec, batch=batch)
    shapes: Any = (dict.fromkeys(axes, Dim.DYNAMIC) or None,)
    example = make_example(spec, tile_hw=tile_hw, batch=batch)
    with exporter_door(), quiet(), torch.no_grad():
        try:
            return torch.export.export(module, (example,), dynamic_shapes=shapes, strict=False)
        except GuardOnDataDependentSymNode as exc:
            raise ModelError(
                "the model must do the same whatever the pixels are, but its code branches on their values "
                f"({reason_of(exc)}); rewrite that part with torch.where, move it into a hook, or run the package as "
                "it is"
            ) from exc
        except UserError as exc:
            if exc.error_type != UserErrorType.CONSTRAINT_VIOLATION:
                raise CaptureError(reason_of(exc)) from exc
            raise ModelError(
                f"the model must leave {', '.join(axes.values())} free, but its code fixes one of them "
                f"({reason_of(exc)}); give --batch N for a fixed batch, or input.size_hw for a fixed size"
            ) from exc


def is_traceable(program: ExportedProgram) -> bool:
    """Whether a captured module turns no pixels into numbers of Python, which a trace would keep as they are."""
    return not any(
        "item" in str(node.target) or "_local_scalar_dense" in str(node.target) for node in program.graph.nodes
    )


def reason_of(error: BaseException) -> str:
    """An error's first line that says something, cut where it is long."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    return (lines or [type(error).__name__])[0][:MAX_REASON_CHARS]


def cause_of(error: BaseException) -> str:
    """The reason at the bottom of a chain of errors: those above say only which step failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return reason_of(error)
