"""How far a run's values lie from those of an earlier one, as its report shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inference_core.stats.drift import Drift


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFacts:
    """Drift against a reference."""

    reference: str
    """URI of its ``summary.json``."""
    run_id: str
    """Of the reference; "" where it does not tell."""
    drifts: Mapping[str, Drift]
    """By quantity; ``classes`` is that of images by class."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What drifted so far that someone should look."""
        return tuple(
            f"{name} drifted from the reference: {drift.level} (PSI {drift.psi:.3f}, KS {drift.ks:.3f})"
            for name, drift in self.drifts.items()
            if drift.level != "none"
        )

    def record(self) -> dict[str, Any]:
        """The block ``drift`` of ``summary.json``."""
        drifts = {name: {**asdict(drift), "level": drift.level} for name, drift in self.drifts.items()}
        return {"reference": self.reference, "reference_run_id": self.run_id, "quantities": drifts}
