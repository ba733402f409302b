"""Answer images of a run again, as it did, but keep what rows do not: the scores of all classes and pixels."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from dataclasses import replace
from itertools import islice

from inference_core.errors import JobError
from inference_core.finisher import Finisher
from inference_core.items import Prediction, PreparedItem
from inference_core.models.package import ModelPackage, load_package, trusted
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from inference_core.runner import Runner
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings
from jobs.config import JobConfig
from jobs.fetch import fetch_images
from jobs.kept_model import check_gave, find_model
from jobs.listing import Listing, read_listing
from jobs.manifest import read_refs
from jobs.plan import Plan
from jobs.prepare_worker import prepare_ref
from jobs.process_threads import set_process_threads
from jobs.stage_progress import Stages, count_items, silent_stages


def load_run_package(output: str, plan: Plan, *, model: str | None, trusts_code: bool) -> ModelPackage:
    """The package that a run's answers are of.

    Args:
        output: the run's folder or prefix.
        plan: the run's.
        model: where the package is now; None for where it was.
        trusts_code: whether Python files in it may be run.

    Raises:
        ConfigError: it is another one by now.
    """
    if model is not None:
        package = load_package(model, trusts_code=trusts_code)
    else:
        data = {**plan.config, "output": output, "trust_package_code": trusts_code}
        found = find_model(build_settings(JobConfig, data, origin=f"{output}/plan.json")).package
        package = trusted(found) if trusts_code else found
    check_gave(package, plan, key="--model")
    return package


def infer_again(
    output: str,
    plan: Plan,
    package: ModelPackage,
    *,
    spec: ModelSpec,
    image_ids: Collection[str],
    stages: Stages = silent_stages,
) -> Iterator[Prediction]:
    """The predictions of some images of a run, in the order of its rows.

    Args:
        output: the run's folder or prefix.
        plan: the run's; its engine, precision and limits hold.
        package: the run's.
        spec: what is kept of the outputs: the package's own spec, or that with another top_k or calibration.
        image_ids: of the images, all of which have an answer.
        stages: show how far it is.

    Raises:
        JobError: the listing is not whole, or an image that had an answer has none now.

    Cost: one process, the engine's own threads.
    """
    listing = read_listing(output)
    if listing is None:
        raise JobError(f"all of the input must be listed, got {output} without; run the same command to its end first")
    config = build_settings(JobConfig, {**plan.config, "output": output}, origin=f"{output}/plan.json")
    execution, chosen, batch = config.execution, plan.engine_choice, plan.batch_choice
    threads = execution.threads_per_actor or 0
    if threads:
        set_process_threads(threads)
    changed = replace(package, spec=spec)
    runner = build_runner(
        changed,
        device=execution.device,
        engine=chosen.engine if chosen else execution.engine,
        precision=chosen.precision if chosen else execution.precision,
        batch_size=batch.batch_size if batch else execution.fixed_batch_size,
        size_of_shape=dict(batch.size_of_shape) if batch else None,
        num_threads=threads,
    )
    finisher = build_finisher(changed)
    items = prepare_again(listing, config, changed, image_ids=image_ids, output=output)
    answered = answer_all(items, runner, finisher)
    yield from count_items(answered, "answers", total=len(image_ids), stages=stages)


def answer_all(items: Iterator[PreparedItem], runner: Runner, finisher: Finisher) -> Iterator[Prediction]:
    """The prediction of each item.

    Raises:
        JobError: there is none.
    """
    while chunk := list(islice(items, runner.batch_size)):
        for raw in runner.infer(chunk):
            prediction = finisher.finish(raw)
            if not prediction.is_ok:
                raise JobError(
                    f"{prediction.source.image_id} must be answered again as it was, got {prediction.status}: "
                    f"{prediction.error}; put the images back where they were"
                )
            yield prediction


def prepare_again(
    listing: Listing, config: JobConfig, package: ModelPackage, *, image_ids: Container[str], output: str
) -> Iterator[PreparedItem]:
    """The prepared items of some images."""
    limits, manifest = config.limits, listing.manifest(output)
    preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)
    for shard_id in range(len(listing.shards)):
        refs = [ref for ref in read_refs(manifest.read_shard(shard_id)) if ref.image_id in image_ids]
        sources = fetch_images(refs, max_bytes=limits.max_bytes, bytes_column=config.source.bytes_column)
        for ref, source in zip(refs, sources, strict=True):
            yield prepare_ref(preparer, ref, source)
