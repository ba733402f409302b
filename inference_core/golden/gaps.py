"""How far the values of one image are off what was sealed: prepared values, raw outputs, decisions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.agreement import decision_gap, decision_of
from inference_core.golden.read import Golden
from inference_core.golden.record import SealedImage, SealedOutput, Tolerance
from inference_core.golden.trace import Trace
from inference_core.golden.values import decision_name, output_name, sampled, tiles_name
from inference_core.items import PreparedItem
from inference_core.output_spec import TaskName
from inference_core.provenance import sha256_hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How far values are off."""

    num_values: int = 0
    """That were compared."""
    num_off: int = 0
    """Further off than the tolerance."""
    largest: float | None = 0.0
    """Largest difference; None where there is no number for it: another size, or not finite on one side only."""


def prepared_gap(golden: Golden, index: int, item: PreparedItem) -> Gap:
    """Of an image's tiles, in steps of 255. What is not kept counts as one value where the SHA-256 tells of it."""
    sealed: SealedImage = golden.record.images[index]
    prepared = item.prepared
    if prepared is None or prepared.tiles.shape != sealed.tiles_shape or prepared.placement != sealed.placement:
        return Gap(num_values=1, num_off=1, largest=None)
    if sha256_hex(np.ascontiguousarray(prepared.tiles).data) == sealed.tiles_sha256:
        return Gap(num_values=prepared.tiles.size)
    kept = golden.arrays[tiles_name(index)]
    gaps = np.abs(sampled(prepared.tiles, step=sealed.tiles_step).astype(np.int16) - kept)
    num_off = int(np.count_nonzero(gaps)) * sealed.tiles_step
    return Gap(
        num_values=prepared.tiles.size,
        num_off=min(max(num_off, 1), prepared.tiles.size),
        largest=float(gaps.max(initial=1)),
    )


def output_gaps(golden: Golden, index: int, trace: Trace) -> list[Gap]:
    """Of an image's raw outputs, paired in order, since engines name them differently."""
    sealed = golden.record.images[index].outputs
    if len(trace.outputs) != len(sealed):
        return [Gap(num_values=1, num_off=1, largest=None)]
    return [
        output_gap(golden.arrays[output_name(index, position)], values, sealed=one, tolerance=golden.record.tolerance)
        for position, (one, values) in enumerate(zip(sealed, trace.outputs.values(), strict=True))
    ]


def output_gap(kept: NDArray[Any], values: NDArray[Any], *, sealed: SealedOutput, tolerance: Tolerance) -> Gap:
    """Of one raw output.

    Args:
        kept: what was sealed of it, flat.
        values: all of what was found, flat.
        sealed: what is known of it.
        tolerance: what is allowed. Integers are decisions: of them so large a share may differ as of answers.
    """
    if len(values) != sealed.num_values:
        return Gap(num_values=len(kept), num_off=len(kept), largest=None)
    found = sampled(values, step=sealed.step).astype(np.float64)
    expected = kept.astype(np.float64)
    is_same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        gaps = np.where(is_same, 0.0, np.abs(found - expected))
    is_float = kept.dtype.kind == "f"
    allowed = tolerance.outputs_abs + tolerance.outputs_rel * sealed.largest if is_float else 0.0
    num_off = int(np.count_nonzero(~(gaps <= allowed)))  # a gap that is nan is over every limit
    if not is_float and num_off <= tolerance.answers_frac * len(kept):
        num_off = 0
    largest = float(gaps.max(initial=0.0))
    return Gap(num_values=len(kept), num_off=num_off, largest=largest if np.isfinite(largest) else None)


def answer_gap(golden: Golden, index: int, trace: Trace, *, task: TaskName) -> float:
    """Share of an image's decisions that differ; 1 where there is no answer."""
    if trace.prediction.result is None:
        return 1.0
    return decision_gap(golden.arrays[decision_name(index)], decision_of(trace.prediction.result), task=task)


def join_gaps(gaps: Iterable[Gap]) -> Gap:
    """Gaps of several arrays as one."""
    every = list(gaps)
    largest = [gap.largest for gap in every]
    return Gap(
        num_values=sum(gap.num_values for gap in every),
        num_off=sum(gap.num_off for gap in every),
        largest=None if None in largest else max((one for one in largest if one is not None), default=0.0),
    )
