"""What is told of an answer in numbers, by name: what rules may ask for, and which statistics bring it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

Group = Literal["margin", "entropy", "scores", "uncertainty", "boundary", "coherence", "regions", "image"]
GROUPS: tuple[Group, ...] = (
    "margin",
    "entropy",
    "scores",
    "uncertainty",
    "boundary",
    "coherence",
    "regions",
    "image",
)
"""Of statistics that are computed only where they are asked for, in the order of their columns."""
Need = Literal["forwards", "steps", "conformal"]
"""What else a package must declare: several forwards, several views or members, conformal sets."""

CLASSES, LABELS, BOXES, MASKS = "classification", "multilabel", "detection", "segmentation"
ALL = (CLASSES, LABELS, BOXES, MASKS, "embedding")


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityField:
    """One number of an answer."""

    name: str
    tasks: tuple[str, ...]
    """Whose answers have it."""
    group: Group | None = None
    """The statistics that bring it; None where rows tell it in any case, or ``need`` brings it."""
    need: Need | None = None
    low: float = 0.0
    """Least value."""
    high: float = 1.0
    """Most, infinite where there is no bound."""
    is_whole: bool = False
    """Whether it counts."""


FIELDS: tuple[QualityField, ...] = (
    QualityField(name="height", tasks=ALL, high=inf, is_whole=True),
    QualityField(name="width", tasks=ALL, high=inf, is_whole=True),
    QualityField(name="score", tasks=(CLASSES, LABELS, BOXES, MASKS)),
    QualityField(name="entropy", tasks=(CLASSES,)),
    QualityField(name="num_labels", tasks=(LABELS,), high=inf, is_whole=True),
    QualityField(name="num_objects", tasks=(BOXES,), high=inf, is_whole=True),
    QualityField(name="foreground_frac", tasks=(MASKS,)),
    QualityField(name="norm", tasks=("embedding",), high=inf),
    QualityField(name="mutual_information", tasks=(CLASSES, LABELS), need="forwards"),
    QualityField(name="score_std", tasks=(CLASSES, LABELS), need="forwards"),
    QualityField(name="disagreement", tasks=(CLASSES, LABELS, BOXES, MASKS), need="steps"),
    QualityField(name="set_size", tasks=(CLASSES,), need="conformal", high=inf, is_whole=True),
    QualityField(name="margin", tasks=(CLASSES, LABELS), group="margin"),
    QualityField(name="entropy", tasks=(LABELS,), group="entropy"),
    QualityField(name="score_mean", tasks=(BOXES,), group="scores"),
    QualityField(name="score_min", tasks=(BOXES,), group="scores"),
    QualityField(name="score_spread", tasks=(BOXES, MASKS), group="scores"),
    QualityField(name="near_threshold_frac", tasks=(BOXES,), group="scores"),
    QualityField(name="score_p05", tasks=(MASKS,), group="scores"),
    QualityField(name="score_p50", tasks=(MASKS,), group="scores"),
    QualityField(name="score_p95", tasks=(MASKS,), group="scores"),
    QualityField(name="low_score_frac", tasks=(MASKS,), group="scores"),
    QualityField(name="high_score_frac", tasks=(MASKS,), group="scores"),
    QualityField(name="uncertainty", tasks=(MASKS,), group="uncertainty"),
    QualityField(name="uncertain_frac", tasks=(MASKS,), group="uncertainty"),
    QualityField(name="boundary_uncertainty", tasks=(MASKS,), group="boundary"),
    QualityField(name="interior_uncertainty", tasks=(MASKS,), group="boundary"),
    QualityField(name="coherence", tasks=(MASKS,), group="coherence", low=-1.0),
    QualityField(name="num_regions", tasks=(MASKS,), group="regions", high=inf, is_whole=True),
    QualityField(name="brightness", tasks=ALL, group="image"),
    QualityField(name="contrast", tasks=ALL, group="image"),
    QualityField(name="sharpness", tasks=ALL, group="image", high=inf),
)


def fields_of(task: str) -> dict[str, QualityField]:
    """What a task's answers may tell, by name."""
    return {field.name: field for field in FIELDS if task in field.tasks}


def groups_of(task: str) -> tuple[Group, ...]:
    """The statistics that a task has."""
    found = {field.group for field in fields_of(task).values()}
    return tuple(group for group in GROUPS if group in found)
