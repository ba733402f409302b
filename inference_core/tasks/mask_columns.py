"""Columns of a segmentation's row that a package asks for: what its steps did, and the components of its mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from inference_core.results import Components, StepEffect

CLASS_EFFECT_TYPE = pa.struct(
    [("class_id", pa.int32()), ("label", pa.string()), ("components", pa.int32()), ("pixels", pa.int64())]
)
EFFECT_TYPE = pa.struct(
    [
        ("name", pa.string()),
        ("value", pa.int64()),
        ("components", pa.int32()),
        ("pixels", pa.int64()),
        ("classes", pa.list_(CLASS_EFFECT_TYPE)),
    ]
)
EFFECT_FIELD = pa.field("postprocess", pa.list_(EFFECT_TYPE))
"""Where the package declares steps."""

COMPONENT_TYPE = pa.struct(
    [
        ("class_id", pa.int32()),
        ("label", pa.string()),
        ("area_px", pa.int64()),
        ("score", pa.float32()),
        ("x_min", pa.int32()),
        ("y_min", pa.int32()),
        ("x_max", pa.int32()),
        ("y_max", pa.int32()),
        ("centroid_x", pa.float32()),
        ("centroid_y", pa.float32()),
        ("eccentricity", pa.float32()),
    ]
)
COMPONENT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("num_components", pa.int32()),
    pa.field("components", pa.list_(COMPONENT_TYPE)),
)
"""Where the package asks for components."""


def effect_rows(effects: Sequence[StepEffect], *, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of the column ``postprocess``."""
    return [
        {
            "name": effect.name,
            "value": effect.value,
            "components": effect.num_components,
            "pixels": effect.num_pixels,
            "classes": [
                {
                    "class_id": one.class_id,
                    "label": classes[one.class_id],
                    "components": one.num_components,
                    "pixels": one.num_pixels,
                }
                for one in effect.classes
            ],
        }
        for effect in effects
    ]


def component_rows(components: Components, *, classes: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of the column ``components``."""
    columns = {
        "class_id": components.class_ids.tolist(),
        "label": [classes[class_id] for class_id in components.class_ids],
        "area_px": components.areas_px.tolist(),
        "score": components.scores.tolist(),
        **dict(zip(("x_min", "y_min", "x_max", "y_max"), components.boxes_xyxy.T.tolist(), strict=True)),
        **dict(zip(("centroid_x", "centroid_y"), components.centroids_xy.T.tolist(), strict=True)),
        "eccentricity": components.eccentricities.tolist(),
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
