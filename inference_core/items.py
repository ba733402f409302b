"""One input on its way through the three verbs: prepared, the model's raw output, and the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from inference_core.records import ArrayRecord, Placement, Prepared, SourceFacts
from inference_core.results import Result
from inference_core.status import Status
from inference_core.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMs:
    """Milliseconds that one image spent in each verb; the infer time is its share of the batch."""

    fetch: float = 0.0
    prepare: float = 0.0
    infer: float = 0.0
    finish: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Prediction(ArrayRecord):
    """What became of one image. There is exactly one for every input."""

    source: SourceFacts
    status: Status
    error: str = ""
    """Why, where ``status`` is not ``ok``."""
    result: Result | None = None
    """The answer, None where ``status`` is not ``ok``, or where a job knows it from the same bytes."""
    stage_ms: StageMs = StageMs()
    model_digest: str = ""
    """Identifies the spec and the weights that gave the answer."""
    engine: str = ""
    """What ran the model, "" where nothing did."""
    statistics: Mapping[str, float | None] = field(default_factory=dict)
    """The numbers that the package asks for, by name; None for what this answer does not have."""
    verdict: Verdict | None = None
    """None where the package declares no ``quality``, or there is no answer."""
    reasons: tuple[str, ...] = ()
    """Of the rules that hold, in their order."""
    priority: float | None = None
    """With a verdict: how uncertain the answer is and how far its forwards disagree, in [0, 1]."""

    @property
    def is_ok(self) -> bool:
        """Whether there is a result."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PreparedItem(ArrayRecord):
    """One input after prepare: ready for the model, or failed with its reason."""

    source: SourceFacts
    prepared: Prepared | None = None
    """None where ``status`` is not ``ok``, or where the answer for the same bytes is known and nothing is to infer."""
    others: tuple[Prepared, ...] = ()
    """The same image as further inputs, of an ensemble whose members take different ones; in the order of the blocks
    of its package, ``prepared`` being the first."""
    status: Status = "ok"
    error: str = ""
    stage_ms: StageMs = StageMs()

    @property
    def blocks(self) -> tuple[Prepared, ...]:
        """All inputs that the image became, none where there is nothing to infer."""
        return () if self.prepared is None else (self.prepared, *self.others)

    @property
    def num_bytes(self) -> int:
        """Of all tiles."""
        return sum(block.tiles.nbytes for block in self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RawPart(ArrayRecord):
    """What one member of an ensemble gave for one image."""

    placement: Placement
    raw: Mapping[str, NDArray[Any]]
    """Arrays by name, the first axis is the tiles of the member's own input."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class RawItem(ArrayRecord):
    """One input after infer: the model's reduced output, or failed with its reason."""

    source: SourceFacts
    placement: Placement | None = None
    """None where nothing was inferred."""
    raw: Mapping[str, NDArray[Any]] | None = None
    """Arrays by name, the first axis is the image's tiles; None where nothing was inferred."""
    others: tuple[RawPart, ...] = ()
    """Of an ensemble whose members take different inputs: what its members after the first gave, in their order.
    ``placement`` and ``raw`` are then the first member's."""
    engine: str = ""
    """What ran the model, "" where nothing did."""
    status: Status = "ok"
    error: str = ""
    stage_ms: StageMs = StageMs()

    @property
    def parts(self) -> tuple[RawPart, ...]:
        """What each member gave, or the lone model; none where nothing was inferred."""
        if self.raw is None or self.placement is None:
            return ()
        return (RawPart(placement=self.placement, raw=self.raw), *self.others)

    @property
    def num_bytes(self) -> int:
        """Of all arrays."""
        return sum(array.nbytes for part in self.parts for array in part.raw.values())
