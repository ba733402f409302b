"""Time every stage on a sample of a job's own input, and measure bytes and memory, before anything runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice

import pyarrow.parquet as pq

from inference_core.engine_choice import EngineChoice, choose_engine
from inference_core.execution_choice import ExecutionChoice
from inference_core.export.mask_files import encode_planes
from inference_core.export.rows import RowBuilder
from inference_core.items import Prediction, PreparedItem, RawItem
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_finisher, build_runner
from inference_core.runner import Runner
from inference_core.stats.summary import Summary
from jobs.bottleneck import WORK
from jobs.config import JobConfig
from jobs.engine_sample import MAX_SAMPLE_BYTES, choose_on_sample, prepare_sample
from jobs.peak_memory import PeakMemory, peak_memory
from jobs.plane_budget import planned_planes
from jobs.process_threads import set_process_threads
from jobs.sources.image_ref import ImageRef

MAX_IMAGES = 64
"""Of the sample."""
MAX_STAGE_S = 8.0
"""After so long a stage takes no more images; one batch at least is run."""
CAUTION_OF_RESAMPLER = {
    "torch": "another model digest; pixels differ by at most 1 of 255",
    "opencv": "another model digest; most pixels differ, since it does not smooth what it shrinks",
}
"""Of those that are faster than Pillow's."""
COMPARED_IMAGES = 16
"""On which resamplers are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the sample told."""

    num_images: int
    num_failed: int
    """Of these, images without an answer."""
    engine: str
    stage_ms: Mapping[str, float]
    """Mean milliseconds of one image in each of WORK, on the threads of one worker."""
    encoded_bytes: float
    """Mean of one image, as are the following."""
    prepared_bytes: float
    raw_bytes: float
    """After the model, before the last verb."""
    output_bytes: float
    """Row and mask."""
    grown_bytes: Mapping[str, int | None]
    """Most memory that a stage added, and as ``model`` its loading; None where the system does not tell."""
    worker_bytes: int | None
    """Most memory of a process that does it all."""
    choice: ExecutionChoice
    """What the settings left open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A change that was tried on the sample."""

    setting: str
    stage: str
    ms: float
    """Of one image in that stage."""
    caution: str = ""
    """What else it changes."""


def probe_job(config: JobConfig, package: ModelPackage, refs: Sequence[ImageRef], *, max_batch_size: int) -> Probe:
    """Run a sample through every stage, in this process, as one worker does.

    Args:
        config: the job's settings.
        package: the model.
        refs: listed images, at least one.
        max_batch_size: largest that ``execution.batch_size: auto`` tries.

    Raises:
        ConfigError: something must be chosen and no image can be read, or the engine cannot be had.
        ModelError: the model does not work.

    Cost: some seconds for each stage; loads the model.
    """
    set_process_threads(config.execution.threads_per_actor or 1)
    next(prepare_sample(config, package, refs[:1]), None)  # libraries load with the first image
    with peak_memory() as preparing:
        items = list(prepare_within(config, package, refs))
    choice = choose_on_sample(config, package, refs, max_batch_size=max_batch_size)
    with peak_memory() as loading:
        runner = build_job_runner(config, package, choice)
        runner.infer(items[:1])
    with peak_memory() as inferring:
        raw = infer_within(runner, items)
    finisher = build_finisher(package)
    with peak_memory() as finishing:
        predictions = [finisher.finish(item) for item in raw]
    write_nowhere(config, package, predictions[:1])  # libraries load with the first table
    with peak_memory() as writing:
        written = write_nowhere(config, package, predictions)
    return Probe(
        num_images=len(predictions),
        num_failed=sum(not one.is_ok for one in predictions),
        engine=str(runner.engine_facts),
        stage_ms={**mean_stage_ms(predictions), "write": written.ms},
        encoded_bytes=mean([one.source.size_bytes for one in predictions]),
        prepared_bytes=mean([item.num_bytes for item in items]),
        raw_bytes=mean([item.num_bytes for item in raw]),
        output_bytes=written.num_bytes,
        grown_bytes={
            "prepare": preparing.grown_bytes,
            "model": loading.grown_bytes,
            "infer": inferring.grown_bytes,
            "finish": finishing.grown_bytes,
            "write": writing.grown_bytes,
        },
        worker_bytes=most([preparing, loading, inferring, finishing, writing]),
        choice=choice,
    )


def probe_elsewhere(config: JobConfig, model_uri: str, refs: Sequence[ImageRef], *, max_batch_size: int) -> Probe:
    """``probe_job`` in a process that has to read the package first."""
    package = load_package(model_uri, trusts_code=config.trust_package_code)
    return probe_job(config, package, refs, max_batch_size=max_batch_size)


def prepare_within(config: JobConfig, package: ModelPackage, refs: Sequence[ImageRef]) -> Iterator[PreparedItem]:
    """Prepared images, as many as MAX_STAGE_S and MAX_SAMPLE_BYTES allow, one at least."""
    started, num_bytes = time.perf_counter(), 0
    for item in prepare_sample(config, package, refs):
        yield item
        num_bytes += item.num_bytes
        if time.perf_counter() - started > MAX_STAGE_S or num_bytes > MAX_SAMPLE_BYTES:
            return


def build_job_runner(config: JobConfig, package: ModelPackage, choice: ExecutionChoice) -> Runner:
    """The second verb as workers build it."""
    execution, engine, batch = config.execution, choice.engine, choice.batch
    return build_runner(
        package,
        device=execution.device,
        engine=engine.engine if engine else execution.engine,
        precision=engine.precision if engine else execution.precision,
        batch_size=batch.batch_size if batch else execution.fixed_batch_size,
        size_of_shape=dict(batch.size_of_shape) if batch else {},
        compiles=execution.compile,
        cuda_graphs=execution.cuda_graphs,
        num_threads=execution.threads_per_actor or 1,
    )


def infer_within(runner: Runner, items: Sequence[PreparedItem]) -> list[RawItem]:
    """The raw outputs of as many items as MAX_STAGE_S allows, a batch at least."""
    started = time.perf_counter()
    waiting = iter(items)
    raw: list[RawItem] = []
    while chunk := list(islice(waiting, runner.batch_size)):
        raw += runner.infer(chunk)
        if time.perf_counter() - started > MAX_STAGE_S:
            break
    return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What writing one image takes, on average."""

    ms: float
    num_bytes: float


def write_nowhere(config: JobConfig, package: ModelPackage, predictions: Sequence[Prediction]) -> Written:
    """Make rows, masks and statistics as the sink does, and store none of them."""
    started = time.perf_counter()
    planes = planned_planes(config.results, None)
    rows = RowBuilder(package.spec, model_digest=package.digest, planes=planes)
    table = rows.table([rows.row(one, row_id=index) for index, one in enumerate(predictions)])
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    Summary.of(table, task=package.spec.task, class_names=package.spec.classes)
    num_bytes = len(buffer.getvalue())
    for one in predictions:
        num_bytes += sum(map(len, encode_planes(one, planes, num_classes=len(package.spec.classes)).values()))
    count = max(1, len(predictions))
    return Written(ms=(time.perf_counter() - started) * 1000 / count, num_bytes=num_bytes / count)


def mean_stage_ms(predictions: Sequence[Prediction]) -> dict[str, float]:
    """Mean milliseconds of all images in each verb."""
    verbs = [stage for stage in WORK if stage != "write"]
    return {stage: mean([float(getattr(one.stage_ms, stage)) for one in predictions]) for stage in verbs}


def mean(values: Sequence[float]) -> float:
    """Mean, 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def most(measured: Sequence[PeakMemory]) -> int | None:
    """The largest peak, None where none is known."""
    return max((one.peak_bytes for one in measured if one.peak_bytes is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of trying changes."""

    faster: tuple[Alternative, ...] = ()
    """The fastest first."""
    notes: tuple[str, ...] = ()
    """Of engines: what was chosen, and what was left out and why. Of all: that nothing is faster."""


def try_alternatives(
    config: JobConfig, package: ModelPackage, refs: Sequence[ImageRef], probe: Probe, *, stage: str
) -> Tried:
    """Changes that may help where a stage holds the run back, each tried on the sample.

    Args:
        config: the job's settings.
        package: the model.
        refs: the sample.
        probe: what it told.
        stage: that is expected to hold the run back.
    """
    notes: tuple[str, ...] = ()
    if stage == "prepare" and package.spec.input.resampler == "pillow":
        found = try_resamplers(config, package, refs[:COMPARED_IMAGES])
    elif stage == "infer" and config.execution.engine == "default":
        choice = compare_engines(config, package, refs)
        found = engine_alternatives(choice, probe)
        notes = (choice.reason, *choice.warnings)
    else:
        return Tried()
    faster = sorted((one for one in found if one.ms < probe.stage_ms[stage]), key=lambda one: one.ms)
    return Tried(faster=tuple(faster), notes=notes or (() if faster else ("nothing that was tried is faster",)))


def compare_engines(config: JobConfig, package: ModelPackage, refs: Sequence[ImageRef]) -> EngineChoice:
    """What ``execution.engine: auto`` would choose."""
    execution = config.execution
    return choose_engine(
        package,
        list(prepare_within(config, package, refs)),
        device=execution.device,
        batch_size=execution.fixed_batch_size,
        num_threads=execution.threads_per_actor or 1,
        guard=execution.precision_guard,
    )


def try_resamplers(config: JobConfig, package: ModelPackage, refs: Sequence[ImageRef]) -> list[Alternative]:
    """Prepare some images with each resampler that the fit allows."""
    found = []
    for resampler, caution in CAUTION_OF_RESAMPLER.items():
        try:
            fit = type(package.spec.input).model_validate(
                {**package.spec.input.model_dump(by_alias=True), "resampler": resampler}
            )
        except ValueError:  # it does not know the interpolation
            continue
        other = replace(package, spec=package.spec.model_copy(update={"input": fit}))
        next(prepare_sample(config, other, refs[:1]), None)
        times_ms = [item.stage_ms.prepare for item in prepare_sample(config, other, refs)]
        found.append(
            Alternative(
                setting=f"input.resampler: {resampler} in model.yaml",
                stage="prepare",
                ms=mean(times_ms),
                caution=caution,
            )
        )
    return found


def engine_alternatives(choice: EngineChoice, probe: Probe) -> list[Alternative]:
    """The engines that were compared and may be used; their times are scaled to the probe's own."""
    reference = choice.table[0]
    used = next(one for one in choice.table if (one.engine, one.precision) == (choice.engine, choice.precision))
    if used is reference:
        return []
    return [
        Alternative(
            setting=f"execution.engine: auto, which finds {used.engine} in {used.precision}",
            stage="infer",
            ms=probe.stage_ms["infer"] * reference.images_per_s / used.images_per_s,
            caution=f"{used.flips_frac:.1%} of the sample's answers differ",
        )
    ]
