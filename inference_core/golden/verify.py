"""Replay golden images: through every engine that is here, or through the one that a job has loaded."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from inference_core.engines.build import resolve_place
from inference_core.engines.choose import list_candidates
from inference_core.engines.protocol import Engine
from inference_core.enhance.build import build_package_engine
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.golden.deviation import Deviation, deviation_of
from inference_core.golden.read import Golden, GoldenImage, check_sealed_for
from inference_core.golden.trace import Trace, Tracer
from inference_core.input_spec import TORCH_INTERPOLATIONS, Resampler
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer

RESAMPLERS: tuple[Resampler, ...] = ("pillow", "torch", "opencv")
REFUSALS = (ConfigError, DeviceMemoryError, EngineError, ModelError)
"""What an engine that does not run raises."""


def verify_engines(
    package: ModelPackage,
    golden: Golden,
    *,
    engines: Sequence[str] = (),
    precisions: Sequence[str] = ("auto",),
    device: str = "auto",
    compiles: bool = False,
) -> list[Deviation]:
    """How far each engine and precision is off, the format's own engine in fp32 first unless others are named.

    Args:
        package: as read.
        golden: of the package.
        engines: names; none for all that are installed and run the format.
        precisions: those to try beside fp32; auto tries what is faster on the device.
        device: auto, cpu or cuda:N.
        compiles: add torch with its compiler where torch is among the engines.

    Raises:
        ModelError: the golden images were sealed for another package.

    Cost: loads the model once for each engine and precision.
    """
    check_sealed_for(golden, package)
    items = prepare_images(package, golden.images)
    found = []
    for engine, precision in choose_candidates(package, engines=engines, precisions=precisions, device=device):
        found.append(replay_engine(package, golden, items, engine=engine, precision=precision, device=device))
        if compiles and engine == "torch":
            found.append(
                replay_engine(package, golden, items, engine=engine, precision=precision, device=device, compiles=True)
            )
    return found


def choose_candidates(
    package: ModelPackage, *, engines: Sequence[str], precisions: Sequence[str], device: str
) -> list[tuple[str, str]]:
    """Engines and precisions to replay, each once; a named engine is one of them also where it cannot run."""
    weights_format = package.spec.format
    place = resolve_place(package, device=device, engine="default")
    able = [pair for name in precisions for pair in list_candidates(weights_format, device=place, precision=name)]
    wanted: list[tuple[str, str]] = [pair for pair in dict.fromkeys(able) if not engines or pair[0] in engines]
    missing = [name for name in engines if all(name != engine for engine, _ in wanted)]
    return [*wanted, *((name, "fp32") for name in missing)] or [("default", "fp32")]


def replay_engine(
    package: ModelPackage,
    golden: Golden,
    items: Sequence[PreparedItem],
    *,
    engine: str,
    precision: str,
    device: str,
    compiles: bool = False,
) -> Deviation:
    """How far one engine is off; one that does not run says why."""
    shown = f"{engine} compiled" if compiles else engine
    resampler = package.spec.input.resampler
    try:
        built = build_package_engine(
            package, device=device, precision=precision, num_threads=0, engine=engine, compiles=compiles
        )
        return replay(package, golden, items, built, shown=shown, resampler=resampler)
    except REFUSALS as exc:
        return Deviation(engine=shown, precision=precision, resampler=resampler, refusal=str(exc))


def replay(
    package: ModelPackage,
    golden: Golden,
    items: Sequence[PreparedItem],
    engine: Engine,
    *,
    shown: str = "",
    resampler: str = "",
    max_s: float = float("inf"),
) -> Deviation:
    """How far an engine that holds the model is off.

    Args:
        package: as read.
        golden: of the package.
        items: its images, prepared.
        engine: forwards.
        shown: what to call the engine; by default its name.
        resampler: whose resize prepared the images; by default the package's.
        max_s: begin no further image after so much time; the first is always done.
    """
    tracer = Tracer(package, engine)
    return deviation_of(
        golden,
        trace_in_time(tracer, items, max_s=max_s),
        task=package.spec.task,
        engine=shown or tracer.facts.engine,
        precision=tracer.precision,
        resampler=resampler or package.spec.input.resampler,
    )


def trace_in_time(tracer: Tracer, items: Iterable[PreparedItem], *, max_s: float) -> Iterator[Trace]:
    """The traces of as many items as can be begun in a time; the first in any case."""
    started = time.perf_counter()
    for item in items:
        yield tracer.trace(item)
        if time.perf_counter() - started > max_s:
            return


def verify_resamplers(package: ModelPackage, golden: Golden) -> list[Deviation]:
    """How far the answers would be off if another library resized: what it costs to take a faster one.

    Nothing is judged: the package names its resampler. A library that has no such interpolation is left out.
    """
    spec = package.spec.input
    engine = build_package_engine(package, device="cpu", precision="fp32", num_threads=0)
    found = []
    for name in RESAMPLERS:
        if name == spec.resampler or (name == "torch" and spec.interpolation not in TORCH_INTERPOLATIONS):
            continue
        items = prepare_images(with_resampler(package, name), golden.images)
        found.append(replay(package, golden, items, engine, resampler=name))
    return found


def prepare_images(package: ModelPackage, images: Sequence[GoldenImage]) -> list[PreparedItem]:
    """Golden images as a package's input, within the usual limits."""
    preparer = build_preparer(package)
    return [preparer.prepare(image.data, image_id=image.name) for image in images]


def with_resampler(package: ModelPackage, resampler: Resampler) -> ModelPackage:
    """A package that differs in who resizes."""
    changed = package.spec.input.model_copy(update={"resampler": resampler})
    return replace(package, spec=package.spec.model_copy(update={"input": changed}))


def breaks_contract(found: Deviation, *, is_wanted: bool, is_strict: bool) -> bool:
    """Whether a replay means that the package cannot be trusted here.

    Args:
        found: the replay.
        is_wanted: whether the engine was named or is the format's own, so that it must run.
        is_strict: whether lower precisions than the sealed one count too: they are a choice of who names them.
    """
    if found.refusal:
        return is_wanted
    return not found.passed and (found.judges_outputs or is_strict)
