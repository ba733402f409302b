"""What a package says of the statistics of each answer, and of the verdict on it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from inference_core.quality_fields import GROUPS, Group, Need, QualityField, fields_of, groups_of
from inference_core.validation import FiniteFloat, Frac, Frozen

MAX_REASON = 200
"""Characters."""
REVIEW_SIZE = 200
"""Images of a review queue where nobody says."""

NEEDS: dict[Need, str] = {
    "forwards": "several forwards; declare tta, dropout or an ensemble",
    "steps": "several views or members; declare tta or an ensemble",
    "conformal": "conformal sets; declare conformal",
}


class StatisticsSpec(Frozen):
    """Numbers that describe each answer, beside those that rows tell in any case."""

    groups: Literal["basic", "full"] | tuple[Group, ...] = "basic"
    """``basic`` is nothing more than what costs nothing, ``full`` all that the task has, or a list of: ``margin``,
    ``entropy``, ``scores``, ``uncertainty``, ``boundary``, ``coherence``, ``regions``, ``image``."""
    low_score: Frac = 0.6
    """Segmentation: pixels whose class has a lower score count in ``low_score_frac``."""
    high_score: Frac = 0.9
    """Segmentation: pixels whose class has this score or a higher one count in ``high_score_frac``."""
    near_threshold: Frac = 0.1
    """Detection: objects whose score is at most so far from the threshold of their class count in
    ``near_threshold_frac``."""
    band_px: Annotated[int, Field(ge=1, le=100)] = 3
    """Segmentation: pixels with one of another class at most so many rows and columns away are the boundary."""

    @field_validator("groups", mode="before")
    @classmethod
    def _check_groups(cls, value: Any) -> Any:
        names = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
        known = (*GROUPS, "basic", "full") if isinstance(value, str) else GROUPS
        if unknown := [name for name in names if name not in known]:
            raise ValueError(
                f"must be basic, full or a list of {', '.join(GROUPS)}, got {unknown[0]!r}{near(unknown, known)}"
            )
        return (value,) if value in GROUPS else value

    @model_validator(mode="after")
    def _check_scores(self) -> StatisticsSpec:
        if self.low_score > self.high_score:
            raise ValueError(
                f"low_score must be at most high_score, got {self.low_score:g} and {self.high_score:g}; exchange them"
            )
        return self


class BoundsSpec(Frozen):
    """Which values of a field a rule is about; both ends together are a range."""

    below: FiniteFloat | None = None
    """The value must be less."""
    above: FiniteFloat | None = None
    """The value must be more."""

    @model_validator(mode="after")
    def _check_ends(self) -> BoundsSpec:
        if self.below is None and self.above is None:
            raise ValueError("must have below, above or both, got neither; add one")
        if self.below is not None and self.above is not None and self.above >= self.below:
            raise ValueError(
                f"above must be less than below, got {self.above:g} and {self.below:g}, between which no value lies; "
                "make two rules, or exchange them"
            )
        return self

    def holds(self, value: float | None) -> bool:
        """Whether a value lies there; one that is not known never does."""
        if value is None:
            return False
        return (self.below is None or value < self.below) and (self.above is None or value > self.above)

    def __str__(self) -> str:
        ends = (("above", self.above), ("below", self.below))
        return " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)


class RuleSpec(Frozen):
    """When an answer is not accepted."""

    when: Annotated[dict[str, BoundsSpec], Field(min_length=1)]
    """Fields of the answer, each with ``below``, ``above`` or both; all of them must hold."""
    verdict: Literal["review", "reject"]
    """What becomes of the answer; where several rules hold, the strictest counts."""
    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""
    """What people read; by default the rule itself, as ``score below 0.2``."""

    @property
    def told_reason(self) -> str:
        """The reason, said or not."""
        return self.reason or " and ".join(f"{name} {bounds}" for name, bounds in self.when.items())


class QualitySpec(Frozen):
    """Rules for a verdict on each answer: accept, review or reject."""

    rules: Annotated[tuple[RuleSpec, ...], Field(min_length=1)]
    """An answer that none of them is about is accepted."""
    review_size: Annotated[int, Field(ge=1, le=10_000)] = REVIEW_SIZE
    """Images that the review queue of a run holds at most."""

    @property
    def named_fields(self) -> dict[str, None]:
        """Fields that rules ask for, each once, in order."""
        return dict.fromkeys(name for rule in self.rules for name in rule.when)


def read_statistics(value: Any) -> Any:
    """``full`` or ``[margin, image]`` as ``{groups: ...}``; anything else as it is."""
    return {"groups": value} if isinstance(value, str | list | tuple) else value


ShortStatistics = BeforeValidator(read_statistics)
"""Of a field that takes the short form, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tellable:
    """What the answers of a package can tell."""

    task: str
    needs: Collection[Need]
    """What it has of NEEDS."""
    has_second: bool = True
    """Whether answers keep a second best class."""

    def lacks(self, group: Group | None) -> str:
        """Why a group cannot be told, "" where it can."""
        if group == "margin" and self.task == "classification" and not self.has_second:
            return "margin needs the second best class; set output.top_k to 2 or more, or leave it out"
        return ""


def asked_groups(statistics: StatisticsSpec, quality: QualitySpec | None, tellable: Tellable) -> tuple[Group, ...]:
    """The groups of statistics that an answer gets: those declared, and those that rules ask for."""
    known = groups_of(tellable.task)
    declared: Collection[Group] = () if isinstance(statistics.groups, str) else statistics.groups
    if statistics.groups == "full":
        declared = [group for group in known if not tellable.lacks(group)]
    fields = fields_of(tellable.task)
    ruled = {fields[name].group for name in (quality.named_fields if quality else ()) if name in fields}
    return tuple(group for group in known if group in declared or group in ruled)


def check_statistics(statistics: StatisticsSpec, tellable: Tellable) -> None:
    """Raise ValueError where the task has no such statistics, or an option of them means nothing."""
    known = groups_of(tellable.task)
    for group in statistics.groups if isinstance(statistics.groups, tuple) else ():
        if group not in known:
            raise ValueError(
                f"statistics must be of {', '.join(known)} with task {tellable.task}, got {group}; remove it"
            )
        if lack := tellable.lacks(group):
            raise ValueError(f"statistics: {lack}")


def check_rules(quality: QualitySpec, tellable: Tellable) -> None:
    """Raise ValueError where a rule asks for what is not told, or for values that cannot be."""
    fields = fields_of(tellable.task)
    for index, rule in enumerate(quality.rules):
        key = f"quality.rules.{index}.when"
        for name, bounds in rule.when.items():
            field = fields.get(name)
            if field is None:
                hint = near([name], fields) or f"; known are {', '.join(fields)}"
                raise ValueError(f"{key} must name what task {tellable.task} tells, got {name!r}{hint}")
            if field.need is not None and field.need not in tellable.needs:
                raise ValueError(f"{key}.{name} needs {NEEDS[field.need]}, or remove the rule")
            if lack := tellable.lacks(field.group):
                raise ValueError(f"{key}.{lack}")
            check_bounds(f"{key}.{name}", bounds, field)


def check_bounds(key: str, bounds: BoundsSpec, field: QualityField) -> None:
    """Raise ValueError where no value of a field could lie there, or all would."""
    for word, end in ends_of(bounds):
        if field.is_whole and (end != int(end) or end < 0):
            raise ValueError(f"{key}.{word} must be a whole number of at least 0, got {end:g}; correct it")
        if not field.low <= end <= field.high:
            is_bounded = math.isfinite(field.high)
            rule = f"lie in [{field.low:g}, {field.high:g}]" if is_bounded else f"be at least {field.low:g}"
            raise ValueError(f"{key}.{word} must {rule}, got {end:g}; correct it")
    if bounds.below == field.low:
        raise ValueError(f"{key}.below must be above {field.low:g}, got {bounds.below:g}; no value is less")
    if bounds.above == field.high:
        raise ValueError(f"{key}.above must be below {field.high:g}, got {bounds.above:g}; no value is more")
    if field.is_whole and bounds.below is not None and bounds.above is not None and bounds.below - bounds.above < 2:
        raise ValueError(
            f"{key} must leave a whole number between above and below, got {bounds.above:g} and {bounds.below:g}; "
            "correct them"
        )


def ends_of(bounds: BoundsSpec) -> Iterator[tuple[str, float]]:
    """The ends that are given, by name."""
    for word, end in (("below", bounds.below), ("above", bounds.above)):
        if end is not None:
            yield word, end


def near(names: Collection[Any], known: Collection[str] = GROUPS) -> str:
    """The near match of the first unknown name, "" where there is none."""
    found = get_close_matches(str(next(iter(names))), known, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
