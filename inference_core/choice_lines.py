"""What a run says of the engine, the precision and the batch size that it chose by measurement."""

from __future__ import annotations

from inference_core.engine_choice import EngineChoice, Measurement
from inference_core.execution_choice import BatchChoice, BatchTrial, ExecutionChoice


def describe_execution(choice: ExecutionChoice) -> list[str]:
    """All that was chosen; nothing where the settings left nothing open."""
    return [
        *(describe_choice(choice.engine) if choice.engine else ()),
        *(describe_batch(choice.batch) if choice.batch else ()),
    ]


def describe_choice(choice: EngineChoice) -> list[str]:
    """The choice, a line for each candidate, and what the precision guard has to say."""
    return [
        f"engine: {choice.reason}",
        *(f"  {describe_measurement(one)}" for one in choice.table),
        *(f"warning: {warning}" for warning in choice.warnings),
    ]


def describe_measurement(one: Measurement) -> str:
    """One candidate in a line."""
    if one.refusal:
        return f"{one}: does not run: {one.refusal}"
    difference = "not finite" if one.max_difference is None else f"{one.max_difference:.2g}"
    return (
        f"{one}: {one.images_per_s:,.0f} images/s, largest difference {difference}, "
        f"{one.flips_frac:.1%} of answers differ"
    )


def describe_batch(choice: BatchChoice) -> list[str]:
    """The choice, and a line for each size that was tried."""
    return [f"batch size: {choice.reason}", *(f"  {describe_trial(one)}" for one in choice.table)]


def describe_trial(one: BatchTrial) -> str:
    """One size in a line."""
    return f"{one}: {one.refusal}" if one.refusal else f"{one}: {one.tiles_per_s:,.0f} tiles/s"
