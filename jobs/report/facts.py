"""What a report says of a run besides the statistics of its images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inference_core.status import Status
from jobs.bottleneck import Bottleneck
from jobs.peaks import Peaks
from jobs.report.drift_facts import DriftFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """What a run has used of machines."""

    core_hours: float
    """Of CPU cores, while attempts worked."""
    gpu_hours: float
    price: float | None
    """In the currency of the run's price table; None where the table does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """How a run went. Two runs over the same images differ here and in the timings, nowhere else."""

    run_id: str
    started: str
    """ISO 8601 with zone."""
    finished: str
    """ISO 8601 with zone."""
    wall_s: float
    """Seconds of work, over all attempts."""
    model_name: str
    model_digest: str
    config: Mapping[str, Any]
    """The resolved settings, secrets masked."""
    num_planned: int
    """Inputs listed by the plan."""
    num_ok: int
    num_failed: int
    """Rows of any other status than ok."""
    num_skipped: int
    """Inputs left out on purpose, e.g. not selected by a retry."""
    num_shards: int
    layout: str
    """split or whole."""
    layout_reason: str
    """Why that layout was chosen."""
    engine: str
    """What ran the model: engine, device and precision."""
    versions: Mapping[str, str]
    """Software by name."""
    images_per_s: float
    num_attempts: int
    """How often the run was started; 1 where it was never interrupted."""
    num_cores: int
    num_reused: int = 0
    """Images whose answers earlier runs gave."""
    num_duplicates: int = 0
    """Images that took their answer from an equal one of the same shard."""
    golden: str = ""
    """What became of the package's golden images, of each attempt that found something else; "" where unknown."""
    bottleneck: Bottleneck | None = None
    """What held the run back; None where no attempt was noted."""
    peaks: Peaks = field(default_factory=Peaks)
    """The most that processes and GPUs had in use."""
    cost: RunCost | None = None
    """None where no attempt was noted."""
    drift: DriftFacts | None = None
    """Against an earlier run, where one is named."""

    @property
    def is_balanced(self) -> bool:
        """Whether every planned input ended in exactly one of ok, failed and skipped."""
        return self.num_planned == self.num_ok + self.num_failed + self.num_skipped

    @property
    def taken_over_text(self) -> str:
        """How many answers were not inferred for their images, "" where all were."""
        parts = [
            f"reused {self.num_reused:,} of {self.num_planned:,}" if self.num_reused else "",
            f"{self.num_duplicates:,} duplicate{'s' * (self.num_duplicates > 1)} inferred once"
            if self.num_duplicates
            else "",
        ]
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """One image without an answer."""

    image_id: str
    uri: str
    status: Status
    error: str
    """Why."""
