"""``execution.engine: auto``: measure engines on images of the job's own input."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from inference_core import storage
from inference_core.engine_choice import EngineChoice, choose_engine
from inference_core.models.package import ModelPackage
from inference_core.pipeline import CPU_BATCH_SIZE, build_preparer
from inference_core.records import PreparedItem
from jobs.config import JobConfig

MAX_IMAGES = 64
"""Of the sample; spread evenly over the listing."""
MAX_SAMPLE_BYTES = 256 << 20
"""Pixels of the prepared sample; where images are large, fewer are taken."""


def choose_job_engine(config: JobConfig, package: ModelPackage, listing: pa.Table) -> EngineChoice:
    """The fastest engine of this machine for a job, with what was measured.

    Args:
        config: the job's settings.
        package: the model, known to work.
        listing: the job's images, with ``image_id`` and ``uri``.

    Raises:
        ConfigError: no image of the sample can be read.
    """
    execution = config.execution
    items: list[PreparedItem] = []
    num_bytes = 0
    for item in prepare_sample(config, package, listing):
        num_bytes += item.prepared.tiles.nbytes if item.prepared else 0
        if items and num_bytes > MAX_SAMPLE_BYTES:
            break
        items.append(item)
    return choose_engine(
        package,
        items,
        device=execution.device,
        precision=execution.precision,
        batch_size=execution.batch_size or CPU_BATCH_SIZE,
        num_threads=execution.threads_per_actor or 1,
    )


def prepare_sample(config: JobConfig, package: ModelPackage, listing: pa.Table) -> Iterator[PreparedItem]:
    """Prepared images from all over the listing, as workers would prepare them."""
    limits = config.limits
    preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)
    count = min(MAX_IMAGES, listing.num_rows)
    rows = listing.take([index * listing.num_rows // count for index in range(count)]).to_pylist()
    fetched = storage.read_many((row["uri"] for row in rows), max_bytes=limits.max_bytes)
    for row, source in zip(rows, fetched, strict=True):
        yield preparer.prepare(source, image_id=row["image_id"], uri=row["uri"])
