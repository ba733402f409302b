"""The names of all metrics of a service, their meaning and their labels; docs and dashboard are held to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the buckets of times."""
IMAGES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Likewise, of batch sizes."""
SCORES = (*(step / 20 for step in range(1, 20)), 1.0)
"""Likewise, of scores."""
REPLICA = "replica"
"""The first label of every metric: the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One family of time series."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    """Besides REPLICA."""
    buckets: tuple[float, ...] = ()
    """Of a histogram: upper ends, rising; one without end comes on top."""
    meaning: str


REQUESTS = Metric(
    name="millrace_serve_requests_total",
    kind="counter",
    labels=("protocol", "route", "status"),
    meaning="answered requests, by HTTP status or gRPC code; 499 where the client went away",
)
REQUEST_SECONDS = Metric(
    name="millrace_serve_request_seconds",
    kind="histogram",
    labels=("protocol", "route", "status"),
    buckets=SECONDS,
    meaning="from the headers of a request to the end of its answer",
)
REQUESTS_IN_FLIGHT = Metric(
    name="millrace_serve_requests_in_flight",
    kind="gauge",
    labels=("protocol",),
    meaning="requests under way; those of a WebSocket are its connections",
)
REJECTED = Metric(
    name="millrace_serve_rejected_total",
    kind="counter",
    labels=("protocol", "reason"),
    meaning="requests that were refused, by the kind of their problem: `overloaded`, `deadline`, `too-large`, ...",
)
RECEIVED_BYTES = Metric(
    name="millrace_serve_received_bytes_total", kind="counter", labels=("protocol",), meaning="bodies of requests"
)
SENT_BYTES = Metric(
    name="millrace_serve_sent_bytes_total", kind="counter", labels=("protocol",), meaning="bodies of answers"
)
IMAGES_TOTAL = Metric(
    name="millrace_serve_images_total",
    kind="counter",
    labels=("model", "status"),
    meaning="images that were answered, by the status of their record",
)
VERDICTS = Metric(
    name="millrace_serve_verdicts_total",
    kind="counter",
    labels=("model", "verdict"),
    meaning="answers of models with rules, by their verdict: `accept`, `review`, `reject`",
)
REASONS = Metric(
    name="millrace_serve_reasons_total",
    kind="counter",
    labels=("model", "reason"),
    meaning="of these, answers that a rule is about, by its reason; an answer may have several",
)
SCORE = Metric(
    name="millrace_serve_score",
    kind="histogram",
    labels=("model",),
    buckets=SCORES,
    meaning="the score of answers, as rows have it: for drift; not of embeddings",
)
IMAGES_REFUSED = Metric(
    name="millrace_serve_images_refused_total",
    kind="counter",
    labels=("model", "reason"),
    meaning="images that the model did not answer, by the kind of the problem",
)
IMAGES_IN_FLIGHT = Metric(
    name="millrace_serve_images_in_flight",
    kind="gauge",
    labels=("model",),
    meaning="images that wait for a model or that it works on",
)
QUEUED_IMAGES = Metric(
    name="millrace_serve_queued_images", kind="gauge", labels=("model",), meaning="of these, images that wait"
)
STAGE_SECONDS = Metric(
    name="millrace_serve_stage_seconds",
    kind="histogram",
    labels=("model", "stage"),
    buckets=SECONDS,
    meaning="time of an image in `queue`, `prepare`, `infer` (its share of the batch) and `finish`",
)
BATCH_IMAGES = Metric(
    name="millrace_serve_batch_images",
    kind="histogram",
    labels=("model",),
    buckets=IMAGES,
    meaning="inferred images, by the size of the batch that they shared",
)
BATCHES = Metric(
    name="millrace_serve_batches_total",
    kind="counter",
    labels=("model",),
    meaning="forwards; each image adds its share of one",
)
CACHE_HITS = Metric(
    name="millrace_serve_cache_hits_total",
    kind="counter",
    labels=("model",),
    meaning="images whose answer was known from equal bytes",
)
MODEL_LOADED = Metric(
    name="millrace_serve_model_loaded",
    kind="gauge",
    labels=("model", "version", "engine"),
    meaning="1 where the model can answer, 0 where it is not loaded",
)
GPU_BUSY = Metric(
    name="millrace_serve_gpu_busy_ratio",
    kind="gauge",
    labels=("host", "gpu", "name"),
    meaning="share of the time since the last look in which a kernel ran; by all processes",
)
GPU_USED = Metric(
    name="millrace_serve_gpu_memory_used_bytes",
    kind="gauge",
    labels=("host", "gpu", "name"),
    meaning="most memory in use since the last look, by all processes",
)
GPU_TOTAL = Metric(
    name="millrace_serve_gpu_memory_total_bytes",
    kind="gauge",
    labels=("host", "gpu", "name"),
    meaning="the memory that it has",
)
RESIDENT_BYTES = Metric(name="millrace_serve_resident_memory_bytes", kind="gauge", meaning="memory of the process")
CPU_SECONDS = Metric(name="millrace_serve_cpu_seconds_total", kind="counter", meaning="processor time of the process")
LOG_LINES_LOST = Metric(
    name="millrace_serve_access_log_lost_total",
    kind="counter",
    meaning="lines of the access log that nobody took in time",
)

METRICS = (
    *(REQUESTS, REQUEST_SECONDS, REQUESTS_IN_FLIGHT, REJECTED, RECEIVED_BYTES, SENT_BYTES),
    *(IMAGES_TOTAL, VERDICTS, REASONS, SCORE),
    *(IMAGES_REFUSED, IMAGES_IN_FLIGHT, QUEUED_IMAGES, STAGE_SECONDS, BATCH_IMAGES, BATCHES, CACHE_HITS),
    *(MODEL_LOADED, GPU_BUSY, GPU_USED, GPU_TOTAL, RESIDENT_BYTES, CPU_SECONDS, LOG_LINES_LOST),
)
