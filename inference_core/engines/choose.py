"""Choose among engines that were measured: the fastest whose answers are those of the format's own in fp32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from inference_core.architecture_spec import Format
from inference_core.engines.cpu_features import has_bf16
from inference_core.engines.protocol import EngineName, Precision
from inference_core.engines.table import FIXED_PRECISION, installed_engines

FLIP_TOLERANCE_FRAC = 0.01
"""Precision guard: a candidate of which more answers of the sample differ from the reference's is not chosen."""

PrecisionGuard = Literal["fall_back", "warn", "off"]
"""What becomes of a precision whose answers differ: not used, used with a warning, or used without a look."""

MIN_GAIN = 1.05
"""How many times as fast as the reference a candidate must be: less is chance, and another run would choose
otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One candidate on the sample."""

    engine: EngineName
    precision: Precision
    """As asked for: a graph that was quantised computes in its own."""
    images_per_s: float = 0.0
    """Of the second verb alone, on the threads of one worker."""
    max_difference: float | None = 0.0
    """Largest absolute difference of any value of the outputs to the reference's; None where one is not finite or the
    shapes differ."""
    flips_frac: float = 0.0
    """Share of answers that differ: labels, or pixels of masks."""
    is_finite: bool = True
    """Whether no output is inf or nan where the reference's is a number."""
    refusal: str = ""
    """Why it does not run at all; "" where it does."""

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """What a run uses, and why."""

    engine: EngineName
    precision: Precision
    reason: str
    warnings: tuple[str, ...]
    """Of the precision guard: what it left out, or was told to keep."""
    table: tuple[Measurement, ...]
    """All that was measured, the reference first."""


def list_candidates(weights_format: Format, *, device: str, precision: str) -> tuple[tuple[EngineName, Precision], ...]:
    """Engines and precisions that may be tried, the reference first.

    Args:
        weights_format: of the package.
        device: ``cpu`` or ``cuda:N``.
        precision: ``auto`` tries fp32 and what is faster on the device; another one is the only one beside the
            reference.
    """
    engines = installed_engines(weights_format, device=device)
    if device != "cpu":
        lower: tuple[Precision, ...] = ("fp16",)
    else:
        lower = ("bf16",) if has_bf16() else ()
    named: dict[str, Precision] = {"fp16": "fp16", "bf16": "bf16"}
    if precision != "auto":
        lower = (named[precision],) if precision in named else ()
    candidates: list[tuple[EngineName, Precision]] = [(engine, "fp32") for engine in engines]
    candidates += [(engine, low) for engine in engines for low in lower if engine not in FIXED_PRECISION]
    return tuple(candidates)


def choose(
    table: tuple[Measurement, ...],
    *,
    max_flips_frac: float = FLIP_TOLERANCE_FRAC,
    guard: PrecisionGuard = "fall_back",
) -> EngineChoice:
    """The fastest candidate that is clearly faster than the reference and answers as it does.

    Args:
        table: the reference first; it ran.
        max_flips_frac: largest share of answers that may differ.
        guard: what becomes of one that answers otherwise.
    """
    reference, *others = table
    assert not reference.refusal, "the reference is the format's own engine, which the package needs"
    faster = sorted(
        (one for one in others if not one.refusal and one.images_per_s > reference.images_per_s * MIN_GAIN),
        key=lambda one: -one.images_per_s,
    )
    warnings: list[str] = []
    for candidate in faster:
        fault = fault_of(candidate, max_flips_frac=max_flips_frac)
        if fault and guard == "warn":
            warnings.append(kept_warning(candidate, fault))
        if not fault or guard != "fall_back":
            return EngineChoice(
                engine=candidate.engine,
                precision=candidate.precision,
                reason=f"{candidate} runs {candidate.images_per_s:,.0f} images/s, "
                f"{candidate.images_per_s / reference.images_per_s:.2f} times {reference}; {candidate.flips_frac:.1%} "
                "of the sample's answers differ",
                warnings=tuple(warnings),
                table=table,
            )
        warnings.append(f"{candidate} left out, though {candidate.images_per_s:,.0f} images/s: {fault}")
    return EngineChoice(
        engine=reference.engine,
        precision=reference.precision,
        reason=f"{reference} runs {reference.images_per_s:,.0f} images/s; nothing that answers as it does is faster",
        warnings=tuple(warnings),
        table=table,
    )


def judge_precision(
    reference: Measurement,
    lower: Measurement,
    *,
    guard: PrecisionGuard,
    max_flips_frac: float = FLIP_TOLERANCE_FRAC,
) -> EngineChoice:
    """A lower precision that was asked for, or the reference's where the guard trips.

    Args:
        reference: of the same engine in fp32; it ran.
        lower: in the precision that was asked for.
        guard: what becomes of it if it answers otherwise.
        max_flips_frac: largest share of answers that may differ.
    """
    fault = f"it does not run: {lower.refusal}" if lower.refusal else fault_of(lower, max_flips_frac=max_flips_frac)
    used = reference if fault and (guard == "fall_back" or lower.refusal) else lower
    warnings: tuple[str, ...] = ()
    if fault:
        warnings = (
            kept_warning(lower, fault)
            if used is lower
            else f"{lower} left out for {reference.precision}: {fault}; set precision to another, or precision_guard "
            "to warn to use it all the same",
        )
    gain = lower.images_per_s / reference.images_per_s
    return EngineChoice(
        engine=used.engine,
        precision=used.precision,
        reason=f"{used}; {lower.precision} runs {gain:.2f} times the images/s of {reference.precision}, "
        f"{lower.flips_frac:.1%} of the sample's answers differ",
        warnings=warnings,
        table=(reference, lower),
    )


def kept_warning(candidate: Measurement, fault: str) -> str:
    """What is said of a precision that is used though it answers otherwise."""
    return f"{candidate} is used though {fault}; set precision_guard to fall_back, or precision to fp32"


def fault_of(candidate: Measurement, *, max_flips_frac: float) -> str:
    """What the precision guard holds against a candidate; "" for nothing."""
    if not candidate.is_finite:
        return "its outputs hold inf or nan"
    if candidate.flips_frac > max_flips_frac:
        return f"{candidate.flips_frac:.1%} of the sample's answers differ, more than {max_flips_frac:.1%}"
    return ""
