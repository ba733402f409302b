"""Which outputs a model gives over the Open Inference Protocol: those of its task, and what its package declares."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from inference_core.results import Segmentation
from serve.answer_json import row_of_answer
from serve.answers import Answer, ServedModel
from serve.errors import InvalidRequestError
from serve.json_text import to_json
from serve.oip_columns import column_output
from serve.oip_output import Output, Values, number, numbers, planes, result_of, texts, words
from serve.oip_tensors import GivenOutput
from serve.renderings import mask_png, pixels_of
from serve.told_columns import ToldColumn


def outputs_of(model: ServedModel) -> tuple[Output, ...]:
    """All outputs of a model: those of its task, what its package declares besides, and what all have."""
    return _outputs_of(model.task, model.columns, has_pixels="uncertainty" in model.options)


@lru_cache(maxsize=256)
def _outputs_of(task: str, columns: tuple[ToldColumn, ...], *, has_pixels: bool) -> tuple[Output, ...]:
    """Made once for each kind of model: it is asked for with each request."""
    pixels = (UNCERTAINTY_MAP,) if has_pixels else ()
    return (*OUTPUTS_OF_TASK[task], *pixels, *map(column_output, columns), *COMMON)


def build_mask_png(answers: Sequence[Answer]) -> tuple[tuple[int, ...], Values]:
    """Each mask as a job would write it, empty where there is none."""
    results = [result_of(answer) for answer in answers]
    return (len(results),), [mask_png(result) if isinstance(result, Segmentation) else b"" for result in results]


COMMON = (
    texts("status", lambda answer: answer.prediction.status.encode()),
    texts("error", lambda answer: answer.prediction.error.encode()),
    texts("row", lambda answer: to_json(row_of_answer(answer))),
)

MASK = planes("mask", lambda result: result.mask, is_default=True, advice="ask for mask_png, or ")
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
UNCERTAINTY_MAP = planes("uncertainty_map", pixels_of, is_default=False)
"""Of packages that declare ``uncertainty``; the column of that name is its mean."""

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
"""Beside these each model has what its package declares, and ``COMMON``."""


def choose_outputs(names: Sequence[str], *, model: ServedModel, is_text: bool) -> tuple[Output, ...]:
    """The outputs that a request wants.

    Args:
        names: as it says, none for those that are given by default.
        model: that is asked.
        is_text: whether the answer is JSON throughout, where a mask is a PNG unless it was asked for.

    Raises:
        InvalidRequestError: the model has no such output.
    """
    known = {output.name: output for output in outputs_of(model)}
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
