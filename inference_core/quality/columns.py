"""The columns of statistics and of the verdict in result rows."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from inference_core.items import Prediction
from inference_core.quality_fields import FIELDS
from inference_core.spec import ModelSpec

VERDICT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("verdict", pa.string()),
    pa.field("reasons", pa.list_(pa.string())),
    pa.field("priority", pa.float32()),
)
"""Where the package declares ``quality``."""


def quality_fields(spec: ModelSpec) -> tuple[pa.Field, ...]:
    """What a package asks for, behind the columns of its task; null where the image failed."""
    return (*statistic_fields(spec), *(VERDICT_FIELDS if spec.quality is not None else ()))


def statistic_fields(spec: ModelSpec) -> tuple[pa.Field, ...]:
    """A column for each statistic that rows do not tell already."""
    groups = [group for group in spec.statistic_groups if not (group == "uncertainty" and spec.uncertainty is not None)]
    return tuple(
        pa.field(field.name, pa.int64() if field.is_whole else pa.float32())
        for group in groups
        for field in FIELDS
        if field.group == group and spec.task in field.tasks
    )


def quality_row(prediction: Prediction) -> dict[str, Any]:
    """The values of ``quality_fields`` by column name; nothing of what is not asked for."""
    if prediction.verdict is None:
        return dict(prediction.statistics)
    return {
        **prediction.statistics,
        "verdict": prediction.verdict,
        "reasons": list(prediction.reasons),
        "priority": prediction.priority,
    }
