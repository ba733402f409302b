"""How far a replay of golden images is off, and whether that is too far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inference_core.golden.arithmetic import judges_outputs
from inference_core.golden.gaps import answer_gap, join_gaps, output_gaps, prepared_gap
from inference_core.golden.read import Golden
from inference_core.golden.record import Tolerance
from inference_core.golden.trace import Trace
from inference_core.output_spec import TaskName


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Golden images through one engine, against what was sealed."""

    engine: str
    """Its name, with what was asked for beside it, such as ``torch compiled``."""
    precision: str
    resampler: str
    """Whose resize prepared the images."""
    num_images: int = 0
    """That were replayed."""
    prepared_frac: float = 0.0
    """Share of prepared values that differ; more than 0 where any does."""
    prepared_largest: int | None = 0
    """By how much, of 255; None where an image got another size or place in the input."""
    outputs_frac: float = 0.0
    """Share of raw outputs that are further off than the tolerance."""
    outputs_largest: float | None = 0.0
    """Largest difference of any raw output; None where there is no number for it: another size, or not finite."""
    answers_frac: float = 0.0
    """Mean share of an image's decisions that differ: its label, pixels of its mask, its objects."""
    num_failed: int = 0
    """Images without an answer."""
    judges_outputs: bool = True
    """Whether raw outputs count: they do in the precision that was sealed."""
    faults: tuple[str, ...] = ()
    """What is further off than the tolerance allows; empty where nothing is."""
    refusal: str = ""
    """Why it does not run at all; "" where it does."""

    @property
    def passed(self) -> bool:
        """Whether it runs and everything is within the tolerance."""
        return not self.faults and not self.refusal

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


def deviation_of(
    golden: Golden, traces: Iterable[Trace], *, task: TaskName, engine: str, precision: str, resampler: str
) -> Deviation:
    """Compare traces with what was sealed.

    Args:
        golden: as read.
        traces: of the first images, at least one, in order; only one of them is held at a time.
        task: of the package.
        engine: what ran the model.
        precision: of the arithmetic; in another one than was sealed raw outputs are shown and only answers judged.
        resampler: whose resize prepared the images.
    """
    prepared_gaps, every_output, answers, errors = [], [], [], []
    for index, trace in enumerate(traces):
        prepared_gaps.append(prepared_gap(golden, index, trace.item))
        every_output += output_gaps(golden, index, trace)
        answers.append(answer_gap(golden, index, trace, task=task))
        errors += [] if trace.prediction.is_ok else [trace.prediction.error]
    prepared, outputs = join_gaps(prepared_gaps), join_gaps(every_output)
    found = Deviation(
        engine=engine,
        precision=precision,
        resampler=resampler,
        num_images=len(answers),
        prepared_frac=prepared.num_off / max(prepared.num_values, 1),
        prepared_largest=None if prepared.largest is None else int(prepared.largest),
        outputs_frac=outputs.num_off / max(outputs.num_values, 1),
        outputs_largest=outputs.largest,
        answers_frac=float(np.mean(answers)),
        num_failed=len(errors),
        judges_outputs=judges_outputs(
            engine=engine.partition(" ")[0],
            precision=precision,
            sealed_engine=golden.record.engine,
            sealed_precision=golden.record.precision,
        ),
    )
    return replace(found, faults=tuple(faults_of(found, tolerance=golden.record.tolerance, errors=errors)))


def faults_of(found: Deviation, *, tolerance: Tolerance, errors: Sequence[str]) -> list[str]:
    """What is further off than the tolerance allows, a sentence each.

    Args:
        found: the figures.
        tolerance: what is allowed.
        errors: why images have no answer.
    """
    faults = []
    if found.prepared_largest is None:
        faults.append("an image gets another size or place in the input")
    elif found.prepared_frac > tolerance.prepared_frac:
        faults.append(
            f"{percent(found.prepared_frac)} of prepared values differ, by up to {found.prepared_largest} of 255: the "
            "libraries that decode and resize are others"
        )
    if found.judges_outputs and found.outputs_frac:
        largest = "have no common size or are not finite" if found.outputs_largest is None else (
            f"are off, by up to {found.outputs_largest:.2g}"
        )  # fmt: skip
        faults.append(
            f"{percent(found.outputs_frac)} of raw outputs {largest}; allowed is {tolerance.outputs_abs:g} + "
            f"{tolerance.outputs_rel:g} x the largest"
        )
    allowed_frac = tolerance.answers_frac if found.judges_outputs else tolerance.low_answers_frac
    if found.answers_frac > allowed_frac:
        faults.append(f"{percent(found.answers_frac)} of answers differ, more than {percent(allowed_frac)}")
    if found.num_failed:
        faults.append(f"{found.num_failed} of {found.num_images} images have no answer: {errors[0]}")
    return faults


def percent(share: float) -> str:
    """A share in percent; what is not 0 does not look like it."""
    if share == 0:
        return "0 %"
    return f"{share:.1%}".replace("%", " %") if share >= 0.0005 else "under 0.1 %"
