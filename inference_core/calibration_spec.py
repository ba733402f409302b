"""What ``calibration`` of a model says: how scores become as right as they claim to be."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any

from pydantic import Discriminator, Tag, model_validator

from inference_core.validation import BY_CLASS_TAG, SHARED_TAG, FiniteFloat, Frac, Frozen, PositiveFloat

KINDS = ("temperature", "platt", "isotonic")


class PlattSpec(Frozen):
    """The logistic function of a line: ``sigmoid(a * logit + b)``."""

    a: PositiveFloat
    """Slope: 1 changes nothing, below 1 is less confident."""
    b: FiniteFloat = 0.0
    """Offset: below 0 lowers every score."""


class IsotonicSpec(Frozen):
    """A line of straight pieces that never falls, from scores to scores; level before the first and behind the last."""

    x: tuple[Frac, ...]
    """Scores of the model, rising, two at least."""
    y: tuple[Frac, ...]
    """What they become, never falling; as many."""

    @model_validator(mode="after")
    def _check(self) -> IsotonicSpec:
        if len(self.x) != len(self.y) or len(self.x) < 2:
            raise ValueError(
                f"x and y must have the same number of scores, two at least, got {len(self.x)} and {len(self.y)}; "
                "correct them"
            )
        if any(a >= b for a, b in pairwise(self.x)):
            raise ValueError("x must rise from each score to the next; sort it, and leave doubles out")
        if any(a > b for a, b in pairwise(self.y)):
            raise ValueError("y must never fall from one score to the next; fit it anew")
        return self


def kind_of_option(value: Any) -> str:
    """What tells a mapping of class names from one curve for all."""
    is_by_class = isinstance(value, dict) and value and all(isinstance(part, dict | Frozen) for part in value.values())
    return BY_CLASS_TAG if is_by_class else SHARED_TAG


TemperatureOption = Annotated[
    Annotated[PositiveFloat, Tag(SHARED_TAG)] | Annotated[dict[str, PositiveFloat], Tag(BY_CLASS_TAG)],
    Discriminator(lambda value: BY_CLASS_TAG if isinstance(value, dict) else SHARED_TAG),
]
PlattOption = Annotated[
    Annotated[PlattSpec, Tag(SHARED_TAG)] | Annotated[dict[str, PlattSpec], Tag(BY_CLASS_TAG)],
    Discriminator(kind_of_option),
]
IsotonicOption = Annotated[
    Annotated[IsotonicSpec, Tag(SHARED_TAG)] | Annotated[dict[str, IsotonicSpec], Tag(BY_CLASS_TAG)],
    Discriminator(kind_of_option),
]


class CalibrationSpec(Frozen):
    """Adjusts scores to how often they are right, by one of three ways; ``millrace evaluate --fit`` finds it."""

    temperature: TemperatureOption = 1.0
    """Divides the logits: 1 changes nothing, above 1 is less confident. A mapping of class names gives each class its
    own, 1 to those that are not named: of the best class where classes compete, else each score its class's."""
    platt: PlattOption | None = None
    """Of scores that do not compete (multi-label, two-class segmentation, classification with ``sigmoid``): slope and
    offset of the logits; for multi-label also a mapping of class names."""
    isotonic: IsotonicOption | None = None
    """Likewise: a line of straight pieces from score to score, for many labels."""

    @model_validator(mode="after")
    def _check_one_kind(self) -> CalibrationSpec:
        declared = [name for name in KINDS if getattr(self, name) != type(self).model_fields[name].default]
        if len(declared) > 1:
            raise ValueError(f"must have one of {', '.join(KINDS)}, got {' and '.join(declared)}; keep one")
        return self

    @property
    def kind(self) -> str | None:
        """Which of KINDS is declared; None where nothing is adjusted."""
        return next((name for name in KINDS if getattr(self, name) != type(self).model_fields[name].default), None)

    @property
    def named_classes(self) -> tuple[str, ...]:
        """Classes that have a curve of their own, () where one holds for all."""
        value = getattr(self, self.kind) if self.kind else None
        return tuple(value) if isinstance(value, dict) else ()
