"""What ``millrace plan`` finds out: the input counted, a sample run, the time computed. Nothing is stored."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from inference_core.batch_choice import MAX_BATCH_SIZE
from inference_core.importing.importer import open_model
from inference_core.models.package import ModelPackage
from inference_core.pipeline import num_cuda_devices
from jobs.bottleneck import Workers
from jobs.commits import CommitLog
from jobs.config import JobConfig
from jobs.driver import check_package
from jobs.estimate import Estimate, estimate_run
from jobs.kept_model import FACTS_FLAG, as_job_says, find_kept
from jobs.levers import find_levers
from jobs.listing import drop_left_out, read_listing
from jobs.manifest import expected_shards
from jobs.plan import (
    check_input_holds_something,
    check_output_is_free,
    check_same_run,
    inputs_of,
    prepared_bytes,
    read_plan,
)
from jobs.plane_budget import PlaneChoice, choose_planes
from jobs.resources import PoolChoice, available_cpus, choose_pools, is_cluster_elsewhere, workers_in
from jobs.shards import MAX_ROWS, Shards, rows_of_later_shards
from jobs.sources.image_ref import ImageRef
from jobs.spread_sample import SpreadSample
from jobs.tuner import MAX_IMAGES, Probe, Tried, probe_elsewhere, probe_job, try_alternatives


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The input, listed once."""

    num_rows: int
    num_bytes: int
    num_left_out: int
    shards: Shards
    sample: tuple[ImageRef, ...]
    """Spread over the listing."""
    listing_s: float
    """How long the listing took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A job before it runs."""

    counted: Counted
    num_done: int
    """Images that earlier commands of this run committed; what follows is of the others."""
    workers: Workers
    layout_reason: str
    probe: Probe
    estimate: Estimate
    tried: Tried
    """For the stage that will hold the run back."""
    planes: PlaneChoice | None = None
    """With ``results.budget_gb``: how masks will be kept."""


def forecast_job(config: JobConfig, *, price_per_hour: float | None = None) -> Forecast:
    """Count a job's input, run a sample of it and compute what the run will take. The output is only read.

    Args:
        config: checked and normalised settings.
        price_per_hour: of the whole cluster, instead of ``prices``.

    Raises:
        ConfigError: a setting, the package, the input or the output is wrong.
        ModelError: the model does not work.

    Cost: lists the input, holds a sample of it, and works for up to a minute.
    """
    with find_package(config) as package:
        plan = read_plan(config.output)
        if plan is None:
            check_output_is_free(config.output)
        else:
            check_same_run(plan, config, package)
        check_package(package, config.execution)
        counted = count_input(config, rows_later=rows_of_later_shards(prepared_bytes(package.spec.input)))
        if not counted.num_rows:
            check_input_holds_something(config)
        planes = choose_planes(config, package, inputs_of(config).list()) if plan is None else plan.planes
        config = with_planes(config, planes)
        num_done = 0 if plan is None else count_done(config.output)
        num_left = max(1, counted.num_rows - num_done)
        pools, workers = workers_for(config, num_shards=len(counted.shards))
        probe = probe_where_it_runs(config, package, counted)
        starts_ray = not is_cluster_elsewhere(config.execution)
        estimate = estimate_run(
            probe,
            workers,
            num_rows=num_left,
            levers=find_levers(package, config, workers, chosen=probe.choice.engine, starts_ray=starts_ray),
            prices=config.prices,
            price_per_hour=price_per_hour,
            starts_ray=starts_ray,
        )
        stage = estimate.bottleneck.stage
        tried = try_alternatives(config, package, counted.sample, probe, stage=stage) if starts_ray else Tried()
    return Forecast(
        counted=counted,
        num_done=num_done,
        workers=workers,
        layout_reason=pools.reason,
        probe=probe,
        estimate=estimate,
        tried=tried,
        planes=planes,
    )


def with_planes(config: JobConfig, planes: PlaneChoice | None) -> JobConfig:
    """The settings with the format of masks that was chosen."""
    if planes is None:
        return config
    return config.model_copy(update={"results": config.results.model_copy(update={"masks": planes.masks})})


@contextmanager
def find_package(config: JobConfig) -> Iterator[ModelPackage]:
    """The job's model; one that is imported is not kept."""
    kept = find_kept(config)
    if kept is not None:
        yield kept
        return
    with (
        open_model(config.model, said=config.model_facts, flag=FACTS_FLAG, trusts_code=config.trust_package_code) as (
            package,
            findings,
        ),
        as_job_says(config, package, findings) as said,
    ):
        yield said


def count_input(config: JobConfig, *, rows_later: int = MAX_ROWS) -> Counted:
    """List the input and keep sums and a sample; ``rows_later`` as for ``expected_shards``."""
    started = time.perf_counter()
    sample = SpreadSample[ImageRef](2 * MAX_IMAGES)
    left_out = Counter[str]()
    num_rows = num_bytes = 0
    for ref in sample.watch(drop_left_out(inputs_of(config).list(), left_out)):
        num_rows += 1
        num_bytes += ref.size_bytes
    kept = sample.kept
    count = min(MAX_IMAGES, len(kept))
    return Counted(
        num_rows=num_rows,
        num_bytes=num_bytes,
        num_left_out=left_out["files"],
        shards=expected_shards(num_rows, rows_per_shard=config.execution.rows_per_shard, rows_later=rows_later),
        sample=tuple(kept[index * len(kept) // count] for index in range(count)),
        listing_s=time.perf_counter() - started,
    )


def count_done(output: str) -> int:
    """Images that are committed."""
    listing = read_listing(output)
    if listing is None:
        return sum(record.num_rows for record in CommitLog(output).read_many(sorted(CommitLog(output).committed())))
    return sum(len(listing.shards.rows_of(shard_id)) for shard_id in CommitLog(output).committed())


def workers_for(config: JobConfig, *, num_shards: int) -> tuple[PoolChoice, Workers]:
    """How the run will use the cluster that it will have; one that runs elsewhere is asked."""
    resources = cluster_resources(config)
    choice = choose_pools(resources, config.execution, num_shards=max(1, num_shards))
    return choice, workers_in(choice.pools, resources)


def cluster_resources(config: JobConfig) -> Mapping[str, float]:
    """CPUs and GPUs of the cluster."""
    if is_cluster_elsewhere(config.execution):
        from jobs.runtime import ray_session  # Ray

        with ray_session(config.execution) as resources:
            return dict(resources)
    return {"CPU": available_cpus(config.execution), "GPU": num_cuda_devices()}


def probe_where_it_runs(config: JobConfig, package: ModelPackage, counted: Counted) -> Probe:
    """The probe on a machine like those that will do the work."""
    sample: Sequence[ImageRef] = counted.sample
    largest = max((rows for _, rows in counted.shards.runs), default=1)
    max_batch_size = min(MAX_BATCH_SIZE, largest)
    if not is_cluster_elsewhere(config.execution):
        return probe_job(config, package, sample, max_batch_size=max_batch_size)
    from jobs.runtime import call_on_cluster  # Ray

    return call_on_cluster(
        config.execution, probe_elsewhere, config, package.uri, sample, max_batch_size=max_batch_size
    )
