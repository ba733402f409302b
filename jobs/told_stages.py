"""Tell the stages of a run what they have to know: from its settings, its plan and what is listed."""

from __future__ import annotations

from inference_core.models.package import ModelPackage
from jobs.config import JobConfig
from jobs.engine_sample import works_here
from jobs.listing import Listing
from jobs.plan import Plan
from jobs.plane_budget import planned_planes
from jobs.progress import RunProgress
from jobs.stage_settings import StageSettings


def index_answers(config: JobConfig, plan: Plan, *, on_gpus: bool, progress: RunProgress) -> str:
    """Where workers find the answers of earlier runs, "" where none is to be taken over."""
    if not config.reuse:
        return ""
    from jobs.reuse.answer_index import store_index
    from jobs.reuse.earlier_runs import find_earlier

    earlier = find_earlier(config.reuse, plan, on_gpus=on_gpus)
    for note in earlier.notes:
        progress.say(f"reuse: {note}")
    if not earlier.files:
        return ""
    folder = store_index(config.output, earlier.files)
    if config.execution.reuse_by == "etag":
        from jobs.reuse.etag_index import store_etags

        store_etags(folder, earlier.files)
    return folder


def stage_settings(
    config: JobConfig,
    package: ModelPackage,
    plan: Plan,
    listing: Listing,
    *,
    known_answers: str = "",
    claims: str = "",
) -> StageSettings:
    """What the workers are told."""
    execution, chosen, batch = config.execution, plan.engine_choice, plan.batch_choice
    return StageSettings(
        output=config.output,
        run_id=plan.run_id,
        manifest=listing.manifest(config.output),
        shards=listing.shards,
        model_uri=package.uri,
        model_digest=package.digest,
        trusts_code=config.trust_package_code,
        limits=config.limits,
        bytes_column=config.source.bytes_column,
        planes=planned_planes(config.results, plan.planes),
        device=execution.device,
        engine=chosen.engine if chosen else execution.engine,
        precision=chosen.precision if chosen else execution.precision,
        batch_size=batch.batch_size if batch else execution.fixed_batch_size,
        size_of_shape=batch.size_of_shape if batch else (),
        claims=claims,
        known_answers=known_answers,
        reuses_by_etag=execution.reuse_by == "etag",
        infers_duplicates=execution.duplicates == "each",
        compiles=execution.compile,
        cuda_graphs=execution.cuda_graphs,
        num_threads=execution.threads_per_actor or 1,
        no_progress_timeout_s=execution.no_progress_timeout_s,
        image_timeout_s=execution.image_timeout_s,
        image_memory_bytes=execution.image_memory_bytes,
        checks_golden=config.golden == "check" and (execution.compile or not works_here(execution)),
    )
