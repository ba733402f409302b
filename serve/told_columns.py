"""Columns that a package's rows have because it declares something: verdict, statistics, conformal sets, effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from inference_core.export.rows import COMMON_FIELDS, TIME_FIELDS, RowBuilder
from inference_core.spec import ModelSpec

Kind = Literal["number", "whole", "text", "wholes", "texts", "nested"]

PLAIN_COLUMNS: Mapping[str, frozenset[str]] = {
    "classification": frozenset({"class_id", "label", "score", "entropy", "top_k"}),
    "multilabel": frozenset({"class_ids", "labels", "scores", "score", "top_k"}),
    "detection": frozenset({"num_objects", "score", "objects"}),
    "segmentation": frozenset({"mask_path", "score", "foreground_frac", "classes"}),
    "embedding": frozenset({"embedding", "norm"}),
}
"""What rows of a task tell in any case."""
COMMON_COLUMNS = frozenset(field.name for field in (*COMMON_FIELDS, *TIME_FIELDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldColumn:
    """A column that the rows of some packages have."""

    name: str
    kind: Kind
    """One number with a fraction, a whole one, a text; lists of the latter two; or anything else."""


def told_columns(spec: ModelSpec) -> tuple[ToldColumn, ...]:
    """What a package declares beside the answer of its task, in the order of the columns."""
    plain = COMMON_COLUMNS | PLAIN_COLUMNS[spec.task]
    schema = RowBuilder(spec, model_digest="").schema
    return tuple(ToldColumn(name=field.name, kind=kind_of(field.type)) for field in schema if field.name not in plain)


def kind_of(type_: pa.DataType) -> Kind:
    """How a column's values are told apart from the row."""
    is_list = pa.types.is_list(type_)
    element = type_.value_type if is_list else type_
    if pa.types.is_integer(element):
        return "wholes" if is_list else "whole"
    if pa.types.is_string(element):
        return "texts" if is_list else "text"
    return "number" if pa.types.is_floating(type_) else "nested"
