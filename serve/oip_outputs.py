"""Which outputs a model of each task gives over the Open Inference Protocol, and how answers become them.

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

from inference_core.results import Result, Segmentation
from serve.answer_json import row_of_answer
from serve.answers import Answer
from serve.errors import InvalidRequestError
from serve.json_text import to_json
from serve.oip_tensors import NUMPY_TYPES, GivenOutput
from serve.renderings import mask_png

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


def outputs_of(task: str) -> tuple[Output, ...]:
    """All outputs of a task's models."""
    return (*OUTPUTS_OF_TASK[task], *COMMON)


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


def planes(name: str, read: Callable[[Any], NDArray[np.uint8]], *, is_default: bool) -> Output:
    """A plane of pixels for each image, which must then be of one size."""

    def build(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
        found = [None if (result := result_of(answer)) is None else read(result) for answer in answers]
        sizes = {plane.shape for plane in found if plane is not None} or {(0, 0)}
        if len(sizes) > 1:
            raise InvalidRequestError(
                f"images must be of one size for output {name}, got {', '.join(f'{h}x{w}' for h, w in sorted(sizes))}; "
                "ask for mask_png, or send images of one size together"
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


def build_mask_png(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
    """Each mask as a job would write it, empty where there is none."""
    results = [result_of(answer) for answer in answers]
    return (len(results),), [mask_png(result) if isinstance(result, Segmentation) else b"" for result in results]


COMMON = (
    texts("status", lambda answer: answer.prediction.status.encode()),
    texts("error", lambda answer: answer.prediction.error.encode()),
    texts("row", lambda answer: to_json(row_of_answer(answer))),
)

MASK = planes("mask", lambda result: result.mask, is_default=True)
MASK_PNG = Output(
    name="mask_png",
    datatype="BYTES",
    shape=(-1,),
    build=build_mask_png,
    is_default=False,
    is_text=False,
    is_picture=True,
)
"""Given instead of ``mask`` where nobody asked for either and sizes differ, or the answer is text."""

OUTPUTS_OF_TASK: dict[str, tuple[Output, ...]] = {
    "classification": (
        numbers("class_id", "INT64", lambda result: result.class_ids, fill=-1),
        numbers("score", "FP32", lambda result: result.scores),
        words("label", lambda result: result.labels),
        number("entropy", "FP32", lambda result: result.entropy),
    ),
    "multilabel": (
        number("num", "INT64", lambda result: len(result.class_ids)),
        numbers("class_id", "INT64", lambda result: result.class_ids, fill=-1),
        numbers("score", "FP32", lambda result: result.scores),
        words("label", lambda result: result.labels),
        numbers("top_class_id", "INT64", lambda result: result.top_class_ids, fill=-1),
        numbers("top_score", "FP32", lambda result: result.top_scores),
        words("top_label", lambda result: result.top_labels),
    ),
    "detection": (
        number("num", "INT64", lambda result: len(result.scores)),
        numbers("boxes_xyxy", "FP32", lambda result: result.boxes_xyxy, inner=(4,)),
        numbers("class_id", "INT64", lambda result: result.class_ids, fill=-1),
        numbers("score", "FP32", lambda result: result.scores),
        words("label", lambda result: result.labels),
    ),
    "segmentation": (
        MASK,
        MASK_PNG,
        planes("score_map", lambda result: result.scores, is_default=False),
        numbers("class_pixels", "INT64", lambda result: result.class_pixels),
        numbers("class_score", "FP32", lambda result: result.class_scores),
    ),
    "embedding": (
        numbers("embedding", "FP32", lambda result: result.vector),
        number("norm", "FP32", lambda result: result.norm),
    ),
}
"""Beside these each task has ``COMMON``."""


def choose_outputs(names: Sequence[str], *, task: str, is_text: bool) -> tuple[Output, ...]:
    """The outputs that a request wants.

    Args:
        names: as it says, none for those that are given by default.
        task: the model's.
        is_text: whether the answer is JSON throughout, where a mask is a PNG unless it was asked for.

    Raises:
        InvalidRequestError: the model has no such output.
    """
    known = {output.name: output for output in outputs_of(task)}
    if not names:
        chosen = [output for output in known.values() if output.is_default]
        return tuple(MASK_PNG if is_text and output is MASK else output for output in chosen)
    for name in names:
        if name not in known:
            raise InvalidRequestError(f"outputs must be among {', '.join(known)}, got {name!r}; correct the name")
    return tuple(known[name] for name in dict.fromkeys(names))


def build_outputs(outputs: Sequence[Output], answers: Sequence[Answer], *, is_asked: bool) -> list[GivenOutput]:
    """The tensors of an answer.

    Args:
        outputs: as chosen.
        answers: one for each image.
        is_asked: whether the request named them; else masks of several sizes become PNGs.

    Raises:
        InvalidRequestError: a plane was asked for, and the images are of several sizes.
    """
    sizes = {result.mask.shape for answer in answers if isinstance(result := result_of(answer), Segmentation)}
    has_sizes = len(sizes) > 1
    return [(MASK_PNG if has_sizes and not is_asked and output is MASK else output).of(answers) for output in outputs]
