"""The engines of an ensemble whose members are shown the image differently: each runs by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_core.engines.protocol import Array, Engine, EngineFacts
from inference_core.records import Uint8Array
from inference_core.tasks.protocol import Reducer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemberEngine:
    """One member, loaded."""

    engine: Engine
    reducer: Reducer
    block: int
    """Which of the inputs of an image it takes."""


class MemberEngines:
    """Holds them; there is no batch that all of them take.

    Args:
        members: in order.
        facts: of them together.
    """

    def __init__(self, members: Sequence[MemberEngine], *, facts: EngineFacts) -> None:
        self.facts = facts
        self.members = tuple(members)

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """See Engine.run; never called, since a runner runs each member on its own batches."""
        raise NotImplementedError("members with different inputs share no batch; run each of .members")
