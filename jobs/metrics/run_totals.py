"""All that a run tells of itself, folded from the records of its committed shards."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from inference_core.gpu_use import GpuUse
from inference_core.stats.timings import Timings
from inference_core.status import STATUSES
from jobs.bottleneck import WORK
from jobs.commits import CommitRecord, read_summary
from jobs.metrics.pool_loads import PoolLoads
from jobs.peak_memory import process_peak_bytes
from jobs.peaks import PeakFold
from jobs.plan import Plan
from jobs.work_done import seconds_by_stage
from jobs.worker_facts import QUARANTINE

Labels = tuple[str, ...]
"""Values of a metric's own labels, in their order."""


class RunTotals:
    """A run so far. One thread folds, others read.

    Args:
        plan: the run's.
        num_rows: images that are listed.
        num_shards: shards that are listed.
        is_whole: whether the listing has ended.
        num_attempts: commands that worked on the run, this one included.
        started_s: when this command began its work, seconds since 1970.
        loads: of the pipeline.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        num_rows: int,
        num_shards: int,
        is_whole: bool,
        num_attempts: int,
        started_s: float,
        loads: PoolLoads,
    ) -> None:
        self._plan = plan
        self._listed = (num_rows, num_shards, is_whole)
        self._num_attempts = num_attempts
        self._started_s = started_s
        self._loads = loads
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._images: Counter[str] = Counter()
        self._stage_s: defaultdict[str, float] = defaultdict(float)
        self._last_commit_s = 0.0
        self._peaks = PeakFold()
        self._gpus: dict[Labels, GpuUse] = {}

    @property
    def run_labels(self) -> Labels:
        """Values of RUN_LABELS."""
        return self._plan.run_id, self._plan.model_name

    def extend(self, *, num_rows: int, num_shards: int, is_whole: bool) -> None:
        """More of the input is listed: so much by now."""
        with self._lock:
            self._listed = (num_rows, num_shards, is_whole)

    def add(self, record: CommitRecord) -> None:
        """Fold a committed shard; each but once.

        Raises:
            JobError: its summary is damaged.
        """
        summary = read_summary(record, class_names=self._plan.classes)
        stage_s = stage_seconds(record, summary.timings)
        with self._lock:
            self._images.update(record.status_counts)
            self._counts.update(counts_of(record) | {"read_bytes": summary.total_bytes})
            for stage, seconds in stage_s.items():
                self._stage_s[stage] += seconds
            self._last_commit_s = max(self._last_commit_s, record.started_s + record.wall_s)
            self._peaks.add(record.workers)
            for facts in record.workers:
                if facts.gpu is not None:
                    self._gpus[facts.gpu.host, facts.gpu.gpu, facts.gpu.name] = facts.gpu

    def samples(self) -> dict[str, list[tuple[Labels, float]]]:
        """The value of every metric, by its name and its own labels; a metric that nobody knows has none."""
        with self._lock:
            return {name: list(rows) for name, rows in self._samples()}

    def _samples(self) -> Iterable[tuple[str, Sequence[tuple[Labels, float]]]]:
        num_rows, num_shards, is_whole = self._listed
        counts, peaks = self._counts, self._peaks.peaks(driver_bytes=process_peak_bytes())
        loads, failed = self._loads.read()
        digest = str(self._plan.identity["model_digest"])
        yield "millrace_run_info", [((digest, self._plan.task), 1)]
        yield "millrace_run_start_timestamp_seconds", [((), self._started_s)]
        yield "millrace_attempts", [((), self._num_attempts)]
        yield "millrace_images_listed", [((), num_rows)]
        yield "millrace_shards_listed", [((), num_shards)]
        yield "millrace_listing_whole", [((), is_whole)]
        yield "millrace_images_total", [((status,), self._images[status]) for status in STATUSES]
        taken_over = [(("earlier_run",), counts["reused"]), (("duplicate",), counts["duplicates"])]
        yield "millrace_images_taken_over_total", taken_over
        yield "millrace_shards_committed_total", [((), counts["shards"])]
        yield "millrace_shards_quarantined_total", [((), counts["quarantined"])]
        yield "millrace_last_commit_timestamp_seconds", [((), self._last_commit_s)]
        yield "millrace_read_bytes_total", [((), counts["read_bytes"])]
        yield "millrace_written_bytes_total", [((), counts["written_bytes"])]
        yield "millrace_stage_seconds_total", [((stage,), self._stage_s[stage]) for stage in WORK]
        yield "millrace_waiting_shards", [((pool,), load.num_waiting) for pool, load in loads.items()]
        yield "millrace_busy_calls", [((pool,), load.num_busy) for pool, load in loads.items()]
        yield (
            "millrace_actors",
            [((pool, state), count) for pool, load in loads.items() for state, count in load.actors.items()],
        )
        yield "millrace_failed_calls_total", [((pool,), count) for pool, count in failed.items()]
        yield "millrace_memory_peak_bytes", known({"driver": peaks.driver_bytes, **peaks.bytes_by_pool})
        yield "millrace_oom_halvings_total", [((), peaks.num_oom_halvings)]
        if peaks.gpu_tensor_bytes is not None:
            yield "millrace_gpu_tensor_peak_bytes", [((), peaks.gpu_tensor_bytes)]
        yield "millrace_gpu_busy_ratio", self._gpu_samples("busy_frac")
        yield "millrace_gpu_memory_used_bytes", self._gpu_samples("used_bytes")
        yield "millrace_gpu_memory_total_bytes", self._gpu_samples("total_bytes")

    def _gpu_samples(self, name: str) -> list[tuple[Labels, float]]:
        """A figure of each GPU that tells it."""
        found = [(labels, getattr(use, name)) for labels, use in self._gpus.items()]
        return [(labels, value) for labels, value in found if value is not None]


def counts_of(record: CommitRecord) -> dict[str, int]:
    """What a record adds to whole counts."""
    return {
        "shards": 1,
        "quarantined": int(any(facts.pool == QUARANTINE for facts in record.workers)),
        "reused": record.num_reused,
        "duplicates": record.num_duplicates,
        "written_bytes": record.data.size_bytes,
    }


def stage_seconds(record: CommitRecord, timings: Timings) -> dict[str, float]:
    """Seconds of a shard in each stage."""
    layout = "split" if any(facts.pool == "commit" for facts in record.workers) else "whole"
    return seconds_by_stage(timings, [(record.started_s, record.started_s + record.wall_s)], layout=layout)


def known(value_of: Mapping[str, int | None]) -> list[tuple[Labels, float]]:
    """Samples of the values that are known, by their one label."""
    return [((label,), value) for label, value in value_of.items() if value is not None]
