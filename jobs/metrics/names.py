"""The names of all metrics of a run, what they mean and which labels they carry; docs and dashboard are held to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RUN_LABELS = ("run_id", "model")
"""Of every metric; their own labels follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One family of time series."""

    name: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...] = ()
    """Besides RUN_LABELS."""
    meaning: str


METRICS = (
    Metric(name="millrace_run_info", kind="gauge", labels=("model_digest", "task"), meaning="1, for its labels"),
    Metric(name="millrace_run_start_timestamp_seconds", kind="gauge", meaning="when this command began its work"),
    Metric(name="millrace_attempts", kind="gauge", meaning="commands that worked on the run, this one included"),
    Metric(name="millrace_images_listed", kind="gauge", meaning="images of the input, as far as it is listed"),
    Metric(name="millrace_shards_listed", kind="gauge", meaning="shards that these are cut into"),
    Metric(name="millrace_listing_whole", kind="gauge", meaning="1 when the input is listed to its end, else 0"),
    Metric(name="millrace_images_total", kind="counter", labels=("status",), meaning="images of committed shards"),
    Metric(
        name="millrace_images_taken_over_total",
        kind="counter",
        labels=("source",),
        meaning="of these, answered without inference: from an `earlier_run`, or as a `duplicate` in their shard",
    ),
    Metric(name="millrace_shards_committed_total", kind="counter", meaning="shards that are done"),
    Metric(
        name="millrace_shards_quarantined_total",
        kind="counter",
        meaning="of these, done in quarantine: a worker had died on them, or they were retried",
    ),
    Metric(
        name="millrace_last_commit_timestamp_seconds",
        kind="gauge",
        meaning="when the newest shard was committed; 0 before the first",
    ),
    Metric(name="millrace_read_bytes_total", kind="counter", meaning="encoded images, as read"),
    Metric(name="millrace_written_bytes_total", kind="counter", meaning="files of rows; masks are not counted"),
    Metric(
        name="millrace_stage_seconds_total",
        kind="counter",
        labels=("stage",),
        meaning="time of all workers together in `fetch`, `prepare`, `infer`, `finish` and `write`",
    ),
    Metric(
        name="millrace_waiting_shards",
        kind="gauge",
        labels=("pool",),
        meaning="shards that wait for a worker of the pool",
    ),
    Metric(name="millrace_busy_calls", kind="gauge", labels=("pool",), meaning="calls that the pool works on"),
    Metric(
        name="millrace_actors",
        kind="gauge",
        labels=("pool", "state"),
        meaning="actors that are `running`, `pending` (for room, or the model) or `restarting` after a death",
    ),
    Metric(
        name="millrace_failed_calls_total",
        kind="counter",
        labels=("pool",),
        meaning="calls that failed for good; their shards are done in quarantine",
    ),
    Metric(
        name="millrace_memory_peak_bytes",
        kind="gauge",
        labels=("pool",),
        meaning="most resident memory that any process of the pool held; the command itself is `driver`",
    ),
    Metric(name="millrace_oom_halvings_total", kind="counter", meaning="batches that did not fit the device"),
    Metric(
        name="millrace_gpu_tensor_peak_bytes",
        kind="gauge",
        meaning="most memory of a GPU that torch's tensors took in one process",
    ),
    Metric(
        name="millrace_gpu_busy_ratio",
        kind="gauge",
        labels=("host", "gpu", "name"),
        meaning="share of the time in which a kernel ran, while the newest shard was inferred",
    ),
    Metric(
        name="millrace_gpu_memory_used_bytes",
        kind="gauge",
        labels=("host", "gpu", "name"),
        meaning="likewise, most memory in use, by all processes",
    ),
    Metric(
        name="millrace_gpu_memory_total_bytes",
        kind="gauge",
        labels=("host", "gpu", "name"),
        meaning="the memory that it has",
    ),
)
