"""What a run says of the engine that it chose by measurement."""

from __future__ import annotations

from inference_core.engine_choice import EngineChoice, Measurement


def describe_choice(choice: EngineChoice) -> list[str]:
    """The choice, a line for each candidate, and a warning for each that was faster and left out."""
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
