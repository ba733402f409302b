"""What becomes of one image on its way through the three verbs, each step kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.engines.protocol import Array, Engine, EngineFacts
from inference_core.enhance.member_engines import MemberEngines
from inference_core.errors import ModelError
from inference_core.finisher import Finisher
from inference_core.golden.arithmetic import arithmetic_of
from inference_core.items import Prediction, PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_finisher
from inference_core.records import ArrayRecord, Uint8Array
from inference_core.runner import Runner, to_numpy
from inference_core.tasks.build import build_task


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trace(ArrayRecord):
    """One image's steps."""

    item: PreparedItem
    """After prepare."""
    outputs: dict[str, NDArray[Any]]
    """The model's raw outputs by name, those of all tiles behind each other, flat; none where the model refused."""
    prediction: Prediction
    """After finish."""


class RecordingEngine:
    """An engine that keeps what the model gives. The batches come and go as they do without.

    Args:
        engine: forwards.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.recorded: list[dict[str, NDArray[Any]]] = []

    @property
    def facts(self) -> EngineFacts:
        """See Engine.facts."""
        return self._engine.facts

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """See Engine.run."""
        outputs = self._engine.run(batch)
        self.recorded.append({name: to_numpy(output).copy() for name, output in outputs.items()})
        return outputs


class Tracer:
    """Sends images through one engine, one tile at a time, so that no image sees another.

    Args:
        package: whose model the engine holds.
        engine: forwards.
    """

    def __init__(self, package: ModelPackage, engine: Engine) -> None:
        self._engine = engine
        self._task = build_task(package.spec, code=package.code)
        self._finisher: Finisher = build_finisher(package)
        self.precision = arithmetic_of(package, engine.facts)

    @property
    def facts(self) -> EngineFacts:
        """Of the engine."""
        return self._engine.facts

    def trace(self, item: PreparedItem) -> Trace:
        """The steps of one prepared image."""
        engine, recorders = recording(self._engine)
        (raw,) = Runner(engine, self._task, batch_size=1).infer([item])
        found = [join_tiles(recorder.recorded) for recorder in recorders]
        return Trace(item=item, outputs=name_by_member(found), prediction=self._finisher.finish(raw))


def recording(engine: Engine) -> tuple[Engine, list[RecordingEngine]]:
    """An engine that runs as another does, and what keeps its outputs: those of each member that runs by itself."""
    if not isinstance(engine, MemberEngines):
        recorder = RecordingEngine(engine)
        return recorder, [recorder]
    recorders = [RecordingEngine(member.engine) for member in engine.members]
    members = [replace(member, engine=one) for member, one in zip(engine.members, recorders, strict=True)]
    return MemberEngines(members, facts=engine.facts), recorders


def name_by_member(found: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Outputs of several members under names of their own; those of a lone model keep theirs."""
    if len(found) == 1:
        return found[0]
    return {f"{index}.{name}": array for index, outputs in enumerate(found) for name, array in outputs.items()}


def join_tiles(recorded: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Outputs of single tiles behind each other, flat.

    Raises:
        ModelError: a tile has other outputs than the first.
    """
    if any(list(outputs) != list(recorded[0]) for outputs in recorded):
        raise ModelError("the model must give the same outputs for every tile, got others; export it again")
    names = list(recorded[0]) if recorded else []
    return {name: np.concatenate([outputs[name].ravel() for outputs in recorded]) for name in names}
