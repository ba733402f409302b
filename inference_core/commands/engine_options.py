"""Options of commands that run a model in this process: on what, by what, how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

import typer

if TYPE_CHECKING:
    from inference_core.execution_choice import BatchSize, PrecisionGuard

DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
EngineOption = Annotated[
    str, typer.Option(help="default, torch, onnxruntime, tensorrt, openvino or litert; auto measures.")
]
PrecisionOption = Annotated[str, typer.Option(help="auto, fp32, fp16 or bf16.")]
GuardOption = Annotated[
    str,
    typer.Option(
        "--precision-guard", help="Where a lower precision answers otherwise than fp32: fall_back, warn or off."
    ),
]
BatchSizeOption = Annotated[
    str, typer.Option("--batch-size", help="Images per forward; auto measures; by default 16 on a CPU, 64 on CUDA.")
]
ThreadsOption = Annotated[int, typer.Option(help="CPU threads of a forward; 0 leaves it to the engine.")]
CompileOption = Annotated[bool, typer.Option("--compile", help="Engine torch: compile the model first.")]


def read_batch_size(text: str) -> BatchSize:
    """A batch size, checked; "" stands for the device's default."""
    if text == "auto":
        return "auto"
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"must be auto or a number of at least 1, got {text!r}", param_hint="--batch-size")
    return int(text)


def read_guard(text: str) -> PrecisionGuard:
    """What the precision guard does, checked."""
    from inference_core.execution_choice import PrecisionGuard

    for name in get_args(PrecisionGuard):
        if name == text:
            return name  # type: ignore[no-any-return]
    raise typer.BadParameter(f"must be fall_back, warn or off, got {text!r}", param_hint="--precision-guard")
