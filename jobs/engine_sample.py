"""Decide on images of the job's own input what its settings leave open: engine, precision, batch size."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pyarrow as pa

from inference_core.batch_choice import MAX_BATCH_SIZE
from inference_core.errors import ModelError
from inference_core.execution_choice import ExecutionChoice, choose_execution, is_sample_needed
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer, has_cuda_device
from inference_core.preparer import elapsed_ms
from jobs.config import JobConfig
from jobs.execution_config import ExecutionConfig
from jobs.fetch import fetch_images
from jobs.manifest import read_refs
from jobs.resources import is_cluster_elsewhere
from jobs.sources.image_ref import ImageRef

MAX_IMAGES = 64
"""Of the sample; spread evenly over the listing."""
MAX_SAMPLE_BYTES = 256 << 20
"""Pixels of the prepared sample; where images are large, fewer are taken."""


def choose_job_execution(
    config: JobConfig, package: ModelPackage, listing: pa.Table, *, max_rows: int
) -> ExecutionChoice:
    """What the settings leave open, decided on a machine like those that will do the work.

    That is this one where the run uses its CPUs alone, else one of the cluster's, with a GPU if actors will have one.

    Args:
        config: the job's settings.
        package: the model, known to work.
        listing: images of the job, of LISTED_SCHEMA.
        max_rows: of the largest shard: no batch is larger.

    Raises:
        ConfigError: something must be chosen and no image of the sample can be read, or the cluster cannot be had.
    """
    if not may_be_open(config.execution):
        return ExecutionChoice()
    count = min(MAX_IMAGES, listing.num_rows)
    rows = listing.take([index * listing.num_rows // count for index in range(count)])
    sample = list(read_refs(rows))
    max_batch_size = min(MAX_BATCH_SIZE, max_rows)
    if works_here(config.execution):
        return choose_on_sample(config, package, sample, max_batch_size=max_batch_size)
    from jobs.runtime import call_on_cluster  # Ray

    return call_on_cluster(
        config.execution,
        choose_elsewhere,
        config,
        package.uri,
        package.digest,
        sample,
        max_batch_size=max_batch_size,
    )


def may_be_open(execution: ExecutionConfig) -> bool:
    """Whether anything may have to be decided, as far as the settings say without a look at any machine."""
    if execution.engine == "auto" or execution.batch_size == "auto":
        return True
    is_fp32 = execution.precision == "fp32" or (execution.precision == "auto" and will_use_cpus(execution))
    return execution.precision_guard != "off" and not is_fp32


def will_use_cpus(execution: ExecutionConfig) -> bool:
    """Whether actors are sure to infer on CPUs."""
    return execution.device == "cpu" or not (is_cluster_elsewhere(execution) or has_cuda_device())


def works_here(execution: ExecutionConfig) -> bool:
    """Whether the run uses this machine's CPUs alone, so that what is measured in this process holds for the actors.

    With a GPU it would hold too, but this process would keep memory of it.
    """
    return will_use_cpus(execution) and not is_cluster_elsewhere(execution)


def choose_elsewhere(
    config: JobConfig, model_uri: str, model_digest: str, sample: Sequence[ImageRef], *, max_batch_size: int
) -> ExecutionChoice:
    """``choose_on_sample`` in a process that has to read the package first.

    Raises:
        ModelError: the package is another one here.
    """
    package = load_planned(config, model_uri, model_digest)
    return choose_on_sample(config, package, sample, max_batch_size=max_batch_size)


def load_planned(config: JobConfig, model_uri: str, model_digest: str) -> ModelPackage:
    """The package that a run is planned with, in another process.

    Raises:
        ModelError: it is another one here.
    """
    package = load_package(model_uri, trusts_code=config.trust_package_code)
    if package.digest != model_digest:
        raise ModelError(
            f"{model_uri} must be the planned model {model_digest[:12]} on every machine, got {package.digest[:12]}; "
            "put the package where all machines read the same"
        )
    return package


def choose_on_sample(
    config: JobConfig, package: ModelPackage, sample: Sequence[ImageRef], *, max_batch_size: int
) -> ExecutionChoice:
    """Decide on this machine.

    Args:
        config: the job's settings.
        package: the model.
        sample: listed images.
        max_batch_size: largest that is tried.

    Raises:
        ConfigError: something must be chosen and no image of the sample can be read.
    """
    execution = config.execution
    if not is_sample_needed(
        package,
        device=execution.device,
        engine=execution.engine,
        precision=execution.precision,
        guard=execution.precision_guard,
        batch_size=execution.batch_size,
    ):
        return ExecutionChoice()
    return choose_execution(
        package,
        read_sample(config, package, sample),
        device=execution.device,
        engine=execution.engine,
        precision=execution.precision,
        guard=execution.precision_guard,
        batch_size=execution.batch_size,
        max_batch_size=max_batch_size,
        num_threads=execution.threads_per_actor or 1,
        compiles=execution.compile,
        cuda_graphs=execution.cuda_graphs,
    )


def read_sample(config: JobConfig, package: ModelPackage, sample: Sequence[ImageRef]) -> list[PreparedItem]:
    """Prepared images, as workers would prepare them; as many as MAX_SAMPLE_BYTES hold, one at least."""
    items: list[PreparedItem] = []
    num_bytes = 0
    for item in prepare_sample(config, package, sample):
        num_bytes += item.num_bytes
        if items and num_bytes > MAX_SAMPLE_BYTES:
            break
        items.append(item)
    return items


def prepare_sample(config: JobConfig, package: ModelPackage, sample: Sequence[ImageRef]) -> Iterator[PreparedItem]:
    """The images of the sample, one after the other."""
    limits = config.limits
    preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)
    fetched = fetch_images(sample, max_bytes=limits.max_bytes, bytes_column=config.source.bytes_column)
    for ref in sample:
        started = time.perf_counter()
        source = next(fetched)
        fetch_ms = elapsed_ms(started)
        yield preparer.prepare(source, image_id=ref.image_id, uri=ref.uri, page=ref.page, fetch_ms=fetch_ms)
