"""Does a package in another format answer as the original does, and how fast?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_core.convert.reference import DEVICE, Reference, Row, own_engine
from inference_core.engines.table import installed_engines
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage

DIFFERENCE_TOLERANCE = 1e-3
"""A raw output may be off by so much, or by so much of its largest magnitude."""
FLIPS_TOLERANCE_FRAC = 1e-3
"""Share of the decisions that may differ: pixels whose two best classes are equal but for rounding. One label of the
sample is more."""
HALF_FLIPS_TOLERANCE_FRAC = 0.01
"""The same for half precision, whose raw outputs are not judged: as the precision guard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A package and what it was made of, on the same images."""

    before: Row
    after: tuple[Row, ...]
    """One for each engine that runs the new package here, its default first."""
    num_images: int
    faults: tuple[str, ...]
    """Why the new package must not be used; none where it may."""


def compare_packages(
    original: ModelPackage, converted: ModelPackage, items: Sequence[PreparedItem], *, half: bool = False
) -> Comparison:
    """Run both on the same images.

    Args:
        original: runs on its format's own engine in fp32.
        converted: runs on every engine that is installed.
        items: prepared images, at least one, none failed.
        half: judge by answers alone.

    Raises:
        ConfigError: an engine that is needed is not installed.
        ModelError: the original does not work.

    Cost: loads both models, the new one once for each engine, and runs the items a few times.
    """
    reference = Reference(original, items)
    default = own_engine(converted)
    rows, faults = [], []
    for engine in installed_engines(converted.spec.format, device=DEVICE):
        row = reference.measure(converted, engine)
        fault = fault_of(row, half=half, is_needed=engine == default)
        rows.append(row)
        faults += [f"{engine}: {fault}"] * bool(fault)
    return Comparison(before=reference.row, after=tuple(rows), num_images=len(items), faults=tuple(faults))


def fault_of(row: Row, *, half: bool, is_needed: bool) -> str:
    """What speaks against a package that behaves so; "" for nothing.

    Args:
        row: as measured.
        half: judge by answers alone.
        is_needed: whether the engine is the package's default; another one need not take the graph.
    """
    limit = HALF_FLIPS_TOLERANCE_FRAC if half else FLIPS_TOLERANCE_FRAC
    if row.refusal:
        return row.refusal if is_needed else ""
    if not row.is_finite:
        return "an image that the original answers gets inf or nan"
    if row.flips_frac > limit:
        return f"{row.flips_frac:.2%} of the answers differ, more than {limit:.1%}"
    if half:
        return ""
    if row.difference is None or row.relative is None:
        return "the outputs have other shapes, or are not finite"
    if min(row.difference, row.relative) > DIFFERENCE_TOLERANCE:
        return (
            f"the outputs differ by {row.difference:.2g} ({row.relative:.2g} of their largest magnitude), more than "
            f"{DIFFERENCE_TOLERANCE:g}"
        )
    return ""
