"""Fix, on a sample of the user's images, what the settings leave open: engine, precision and batch size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inference_core.batch_choice import MAX_BATCH_SIZE, BatchChoice, BatchTrial, choose_batch_size
from inference_core.engine_choice import EngineChoice, PrecisionGuard, choose_engine, guard_precision, lower_precision
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_runner

__all__ = [
    "BatchChoice",
    "BatchSize",
    "BatchTrial",
    "ExecutionChoice",
    "PrecisionGuard",
    "choose_execution",
    "is_sample_needed",
]

BatchSize = int | Literal["auto"] | None
"""A number, None for the device's default, or ``auto`` for what the sample shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionChoice:
    """What the sample has decided."""

    engine: EngineChoice | None = None
    """Engine and precision; None where the settings say them and nothing is to be compared."""
    batch: BatchChoice | None = None
    """None where the settings say it."""


def is_sample_needed(
    package: ModelPackage,
    *,
    device: str,
    engine: str,
    precision: str,
    guard: PrecisionGuard,
    batch_size: BatchSize,
) -> bool:
    """Whether the settings leave something open that a sample on this machine has to decide.

    Raises:
        ConfigError: the device, the precision or the engine cannot be had.
    """
    if engine == "auto" or batch_size == "auto":
        return True
    lower = lower_precision(package, engine=engine, device=device, precision=precision)
    return guard != "off" and lower is not None


def choose_execution(
    package: ModelPackage,
    items: Sequence[PreparedItem],
    *,
    device: str = "auto",
    engine: str = "default",
    precision: str = "auto",
    guard: PrecisionGuard = "fall_back",
    batch_size: BatchSize = None,
    max_batch_size: int = MAX_BATCH_SIZE,
    num_threads: int = 1,
    compiles: bool = False,
    cuda_graphs: bool = False,
) -> ExecutionChoice:
    """Choose on this machine: first engine and precision, then the batch size for these.

    Args:
        package: as read.
        items: prepared images of the kind that will be run; failed ones are left out.
        device: auto, cpu or cuda:N.
        engine: a name, default, or ``auto`` for the fastest that answers as the default does.
        precision: auto, fp32, fp16 or bf16.
        guard: what becomes of a precision whose answers differ from those of fp32.
        batch_size: a number, None for the device's default, or ``auto``.
        max_batch_size: largest that ``auto`` tries.
        num_threads: CPU threads of one forward.
        compiles: as for ``build_runner``.
        cuda_graphs: as for ``build_runner``.

    Raises:
        ConfigError: no item can be run though something has to be chosen, or a setting cannot be had.
        ModelError: the model does not work.

    Cost: loads the model a few times and runs the items for some seconds.
    """
    number = None if batch_size == "auto" else batch_size
    chosen = (
        choose_engine(
            package,
            items,
            device=device,
            precision=precision,
            batch_size=number,
            num_threads=num_threads,
            guard=guard,
        )
        if engine == "auto"
        else guard_precision(
            package,
            items,
            engine=engine,
            device=device,
            precision=precision,
            batch_size=number,
            num_threads=num_threads,
            guard=guard,
        )
    )
    if batch_size != "auto":
        return ExecutionChoice(engine=chosen)
    runner = build_runner(
        package,
        device=device,
        precision=chosen.precision if chosen else precision,
        engine=chosen.engine if chosen else engine,
        num_threads=num_threads,
        compiles=compiles,
        cuda_graphs=cuda_graphs,
    )
    return ExecutionChoice(engine=chosen, batch=choose_batch_size(runner, items, max_size=max_batch_size))
