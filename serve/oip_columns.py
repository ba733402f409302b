"""What a package declares beside its answer, as outputs of the Open Inference Protocol: named as the rows' columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from serve.answers import Answer
from serve.json_text import to_json
from serve.oip_output import Output, Values, texts
from serve.oip_tensors import NUMPY_TYPES
from serve.told_columns import Kind, ToldColumn

UNKNOWN_CLASS = -1
"""Fills up lists of class ids."""
Told = Sequence[Any]
"""Values of one column, one for each image; None where an image does not have it."""


def column_output(column: ToldColumn) -> Output:
    """A column as an output."""
    return BUILDERS[column.kind](column.name)


def told_of(answers: Sequence[Answer], name: str) -> Told:
    """A column of each answer."""
    return [answer.row.get(name) for answer in answers]


def single(name: str, datatype: str, *, unknown: float) -> Output:
    """A number for each image."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        values = [unknown if value is None else value for value in told_of(answers, name)]
        return (len(values),), np.array(values, NUMPY_TYPES[datatype])

    return Output(name=name, datatype=datatype, shape=(-1,), build=build)


def number(name: str) -> Output:
    """A number with a fraction for each image, NaN where it has none."""
    return single(name, "FP32", unknown=np.nan)


def whole(name: str) -> Output:
    """A count for each image, 0 where it has none."""
    return single(name, "INT64", unknown=0)


def text(name: str) -> Output:
    """A text for each image, "" where it has none."""
    return texts(name, lambda answer: (answer.row.get(name) or "").encode())


def listed_wholes(name: str) -> Output:
    """Class ids for each image, as many as it has."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        found = [value or () for value in told_of(answers, name)]
        filled = np.full((len(found), max(map(len, found), default=0)), UNKNOWN_CLASS, NUMPY_TYPES["INT64"])
        for row, values in zip(filled, found, strict=True):
            row[: len(values)] = values
        return filled.shape, filled

    return Output(name=name, datatype="INT64", shape=(-1, -1), build=build)


def listed_texts(name: str) -> Output:
    """Texts for each image, as many as it has."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        found = [value or () for value in told_of(answers, name)]
        length = max(map(len, found), default=0)
        return (len(found), length), [
            entry.encode() for values in found for entry in (*values, *[""] * (length - len(values)))
        ]

    return Output(name=name, datatype="BYTES", shape=(-1, -1), build=build)


def nested(name: str) -> Output:
    """Anything else as JSON, on request: ``row`` has it, too."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        return (len(answers),), [to_json(value) for value in told_of(answers, name)]

    return Output(name=name, datatype="BYTES", shape=(-1,), build=build, is_default=False)


BUILDERS: Mapping[Kind, Callable[[str], Output]] = {
    "number": number,
    "whole": whole,
    "text": text,
    "wholes": listed_wholes,
    "texts": listed_texts,
    "nested": nested,
}
