"""The engine of a package with everything that its answer is made of: the only door to several forwards."""

from __future__ import annotations

from dataclasses import replace

from inference_core.engines.build import build_engine
from inference_core.engines.overlap import TileLoader
from inference_core.engines.protocol import Engine, EngineFacts, LoadingEngine, Precision
from inference_core.engines.table import resolve_engine
from inference_core.enhance.box_answer import BoxAnswer
from inference_core.enhance.engine import Answer, EnhancedEngine, OverlappedEnhancedEngine
from inference_core.enhance.feature_answer import FeatureAnswer
from inference_core.enhance.forwards import Source, ViewsOfModel
from inference_core.enhance.members import Member, Members
from inference_core.enhance.score_answer import ScoreAnswer
from inference_core.models.package import ModelPackage
from inference_core.spec import ModelSpec

COARSEST_FIRST: tuple[Precision, ...] = ("int8", "bf16", "fp16", "fp32")


def build_package_engine(
    package: ModelPackage,
    *,
    device: str,
    precision: str,
    num_threads: int,
    engine: str = "default",
    compiles: bool = False,
    cuda_graphs: bool = False,
) -> Engine:
    """The engine of a package; where it declares views, dropout or members, one that runs and merges them all.

    Args:
        package: as read.
        device: see ``build_engine``, as all that follows.
        precision: likewise.
        num_threads: likewise.
        engine: likewise; of an ensemble ``ensemble`` or ``default``: each member has its format's own.
        compiles: likewise.
        cuda_graphs: likewise.

    Raises:
        ConfigError: the device, the precision or the engine cannot be had, or an extra is not installed.
        ModelError: the weights do not load or do not fit the spec, or have no dropout layers and are asked for dropout.
    """
    spec = package.spec
    if package.members:
        resolve_engine(engine, weights_format=spec.format, device="cpu")
    built = [
        build_engine(
            one,
            device=device,
            precision=precision,
            num_threads=num_threads,
            engine="default" if package.members else engine,
            compiles=compiles,
            cuda_graphs=cuda_graphs,
        )
        for one in package.members or (package,)
    ]
    if not spec.is_enhanced:
        return built[0]
    source: Source
    if spec.ensemble is None:
        source, facts = ViewsOfModel(built[0], spec, code=package.code), built[0].facts
    else:
        source, facts = build_members(package, built), facts_of_members(built)
    loaders = [one for one in built if isinstance(one, TileLoader)]
    if len(loaders) == len(built):
        return OverlappedEnhancedEngine(source, build_answer(spec), loaders=loaders, facts=facts)
    return EnhancedEngine(source, build_answer(spec), facts=facts)


def build_answer(spec: ModelSpec) -> Answer:
    """What merges the forwards of a task."""
    if spec.task == "detection":
        return BoxAnswer(spec)
    return FeatureAnswer() if spec.task == "embedding" else ScoreAnswer(spec)


def build_members(package: ModelPackage, engines: list[Engine]) -> Members:
    """The members of an ensemble on their engines."""
    assert package.spec.ensemble is not None, "only ensembles have members"
    members = [
        Member(
            source=ViewsOfModel(engine, member.spec, code=member.code),
            answer=build_answer(member.spec),
            spec=member.spec,
            weight=declared.weight,
        )
        for engine, member, declared in zip(engines, package.members, package.spec.ensemble.members, strict=True)
    ]
    places = {(isinstance(engine, LoadingEngine), engine.facts.device) for engine in engines}
    return Members(members, shares_device=len(places) == 1)


def facts_of_members(engines: list[Engine]) -> EngineFacts:
    """What runs an ensemble: the first member's device, the coarsest precision, and notes of what runs each."""
    facts = [engine.facts for engine in engines]
    limits = [one.max_batch for one in facts if one.max_batch is not None]
    notes = tuple(f"member {index}: {note}" for index, one in enumerate(facts) for note in (str(one), *one.notes))
    precision = min((one.precision for one in facts), key=COARSEST_FIRST.index)
    return replace(facts[0], engine="ensemble", precision=precision, max_batch=min(limits, default=None), notes=notes)
