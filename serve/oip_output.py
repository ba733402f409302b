"""One output of a model over the Open Inference Protocol, and how the answers of a request become it.

The first axis is the images of the request. Where images have answers of different lengths, shorter ones are filled up:
``class_id`` with -1, ``label`` with "", numbers with 0. An image without an answer is filled up throughout, and its
``status`` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.results import Result
from serve.answers import Answer
from serve.errors import InvalidRequestError
from serve.oip_tensors import NUMPY_TYPES, GivenOutput

Values = NDArray[Any] | list[bytes]
Build = Callable[[Sequence[Answer]], tuple[tuple[int, ...], Values]]
"""Answers to the shape and the elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output that models of a task give."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    """-1 where a size depends on the request."""
    build: Build
    is_default: bool = True
    """Whether it is given where the request names no outputs."""
    is_text: bool = True
    """Whether elements of BYTES are UTF-8."""
    is_picture: bool = False
    """Whether it holds pixels, which take time to write."""

    def of(self, answers: Sequence[Answer]) -> GivenOutput:
        """This output for the answers of one request, in order."""
        shape, values = self.build(answers)
        return GivenOutput(name=self.name, datatype=self.datatype, shape=shape, values=values, is_text=self.is_text)


def number(name: str, datatype: str, read: Callable[[Any], float]) -> Output:
    """A number for each image."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        values = [0 if (result := result_of(answer)) is None else read(result) for answer in answers]
        return (len(values),), np.array(values, NUMPY_TYPES[datatype])

    return Output(name=name, datatype=datatype, shape=(-1,), build=build)


def numbers(
    name: str, datatype: str, read: Callable[[Any], NDArray[Any]], *, fill: int = 0, inner: tuple[int, ...] = ()
) -> Output:
    """Numbers for each image: (n, *inner), where n differs between images."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        found = [None if (result := result_of(answer)) is None else read(result) for answer in answers]
        length = max((len(values) for values in found if values is not None), default=0)
        filled = np.full((len(found), length, *inner), fill, NUMPY_TYPES[datatype])
        for row, values in zip(filled, found, strict=True):
            if values is not None:
                row[: len(values)] = values
        return filled.shape, filled

    return Output(name=name, datatype=datatype, shape=(-1, -1, *inner), build=build)


def words(name: str, read: Callable[[Any], Sequence[str]]) -> Output:
    """Words for each image, as many as numbers of the same length."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        found = [() if (result := result_of(answer)) is None else read(result) for answer in answers]
        length = max(map(len, found), default=0)
        values = [text.encode() for texts in found for text in (*texts, *[""] * (length - len(texts)))]
        return (len(found), length), values

    return Output(name=name, datatype="BYTES", shape=(-1, -1), build=build)


def texts(name: str, read: Callable[[Answer], bytes]) -> Output:
    """A text for each image, answered or not."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        return (len(answers),), [read(answer) for answer in answers]

    return Output(name=name, datatype="BYTES", shape=(-1,), build=build)


def planes(name: str, read: Callable[[Any], NDArray[np.uint8] | None], *, is_default: bool, advice: str = "") -> Output:
    """A plane of pixels for each image, which must then be of one size; else ``advice`` begins what to do."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        found = [None if (result := result_of(answer)) is None else read(result) for answer in answers]
        sizes = {plane.shape for plane in found if plane is not None} or {(0, 0)}
        if len(sizes) > 1:
            raise InvalidRequestError(
                f"images must be of one size for output {name}, got {', '.join(f'{h}x{w}' for h, w in sorted(sizes))}; "
                f"{advice}send images of one size together"
            )
        (size,) = sizes
        if len(found) == 1 and found[0] is not None:
            return (1, *size), np.ascontiguousarray(found[0])[np.newaxis]
        filled = np.zeros((len(found), *size), np.uint8)
        for row, plane in zip(filled, found, strict=True):
            if plane is not None:
                row[:] = plane
        return filled.shape, filled

    return Output(name=name, datatype="UINT8", shape=(-1, -1, -1), build=build, is_default=is_default, is_picture=True)


def result_of(answer: Answer) -> Result | None:
    """The answer of one image, None where it has none."""
    return answer.prediction.result
