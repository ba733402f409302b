"""The engine of a package with everything that its answer is made of: the only door to several forwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inference_core.engines.build import build_engine
from inference_core.engines.overlap import TileLoader
from inference_core.engines.protocol import Engine, EngineFacts, LoadingEngine, Precision
from inference_core.engines.table import resolve_engine
from inference_core.enhance.engine import Answer, EnhancedEngine, OverlappedEnhancedEngine
from inference_core.enhance.forwards import Source, ViewsOfModel
from inference_core.enhance.member_answer import MemberAnswer, MemberScores
from inference_core.enhance.member_engines import MemberEngine, MemberEngines
from inference_core.enhance.member_join import build_answer
from inference_core.enhance.members import Member, Members
from inference_core.models.ensemble import input_blocks
from inference_core.models.package import ModelPackage

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
    return engine_of(package, built)


def share_engine(engine: Engine, package: ModelPackage) -> Engine:
    """The engine of a package whose model another one holds: with other views, or without.

    Args:
        engine: of a package with the same weights.
        package: says which forwards its answer is made of.
    """
    return engine_of(package, engine.engines if isinstance(engine, EnhancedEngine) else (engine,))


def member_engine(engine: Engine, member: ModelPackage, *, index: int) -> Engine:
    """The engine of one member by itself, on what an ensemble's engine holds of it.

    Args:
        engine: of the ensemble.
        member: the package.
        index: which member it is.
    """
    if isinstance(engine, MemberEngines):
        return share_engine(engine.members[index].engine, member)
    assert isinstance(engine, EnhancedEngine), "an ensemble's engine runs several"
    return engine_of(member, engine.engines[index : index + 1])


def engine_of(package: ModelPackage, engines: Sequence[Engine]) -> Engine:
    """What runs and merges all forwards of a package on the engines of its model, or of its members."""
    spec = package.spec
    if not spec.is_enhanced:
        return engines[0]
    if package.has_unlike_inputs:
        return build_member_engines(package, engines)
    if spec.ensemble is None:
        source: Source = ViewsOfModel(engines[0], spec, code=package.code)
        return enhanced_engine(source, build_answer(spec), engines=engines, facts=engines[0].facts)
    members = Members(build_members(package, engines), shares_device=has_one_place(engines))
    return enhanced_engine(members, build_answer(spec), engines=engines, facts=facts_of_members(engines))


def enhanced_engine(source: Source, answer: Answer, *, engines: Sequence[Engine], facts: EngineFacts) -> Engine:
    """The engine of several forwards; one that computes beside the CPU where all those below do."""
    loaders = [one for one in engines if isinstance(one, TileLoader)]
    if len(loaders) == len(engines):
        return OverlappedEnhancedEngine(source, answer, engines=engines, loaders=loaders, facts=facts)
    return EnhancedEngine(source, answer, engines=engines, facts=facts)


def build_member_engines(package: ModelPackage, engines: Sequence[Engine]) -> MemberEngines:
    """The members of an ensemble on their engines, each with an answer of its own."""
    members = [
        MemberEngine(
            engine=enhanced_engine(
                Members([member], shares_device=True), MemberAnswer(), engines=[engine], facts=engine.facts
            ),
            reducer=MemberScores(member.spec.task),
            block=block,
        )
        for engine, member, block in zip(
            engines, build_members(package, engines), input_blocks(package.members), strict=True
        )
    ]
    return MemberEngines(members, facts=facts_of_members(engines))


def build_members(package: ModelPackage, engines: Sequence[Engine]) -> list[Member]:
    """The members of an ensemble on their engines."""
    assert package.spec.ensemble is not None, "only ensembles have members"
    return [
        Member(
            source=ViewsOfModel(engine, member.spec, code=member.code),
            answer=build_answer(member.spec),
            spec=member.spec,
            weight=declared.weight,
        )
        for engine, member, declared in zip(engines, package.members, package.spec.ensemble.members, strict=True)
    ]


def has_one_place(engines: Sequence[Engine]) -> bool:
    """Whether all give arrays of one library on one device."""
    return len({(isinstance(engine, LoadingEngine), engine.facts.device) for engine in engines}) == 1


def facts_of_members(engines: Sequence[Engine]) -> EngineFacts:
    """What runs an ensemble: the first member's device, the coarsest precision, and notes of what runs each."""
    facts = [engine.facts for engine in engines]
    limits = [one.max_batch for one in facts if one.max_batch is not None]
    notes = tuple(f"member {index}: {note}" for index, one in enumerate(facts) for note in (str(one), *one.notes))
    precision = min((one.precision for one in facts), key=COARSEST_FIRST.index)
    return replace(facts[0], engine="ensemble", precision=precision, max_batch=min(limits, default=None), notes=notes)
