"""Answers as JSON: the row that a job writes, with timings and what was asked for on top."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.results import Segmentation
from serve.answers import Answer, Options
from serve.renderings import gray_png, mask_png, npy_bytes, pixels_of


def one_answer(answer: Answer, *, total_ms: float, fetch_ms: float = 0.0) -> dict[str, Any]:
    """What is told of one image; without what was not asked for."""
    return {
        "prediction": row_of_answer(answer),
        "timings": timings_of(answer, total_ms=total_ms, fetch_ms=fetch_ms),
        "batch_size": answer.batch_size,
        "was_cached": answer.was_cached,
    }


def row_of_answer(answer: Answer) -> dict[str, Any]:
    """The columns of a job but ``row_id``, which is a place in its list."""
    return {name: value for name, value in answer.row.items() if name != "row_id"}


def timings_of(answer: Answer, *, total_ms: float, fetch_ms: float) -> dict[str, float]:
    """Milliseconds by stage."""
    times = answer.prediction.stage_ms
    return {
        "fetch_ms": times.fetch or fetch_ms,
        "prepare_ms": times.prepare,
        "queue_ms": answer.queue_ms,
        "infer_ms": times.infer,
        "finish_ms": times.finish,
        "total_ms": total_ms,
    }


def wants_extras(options: Options) -> bool:
    """Whether anything is asked for beside the row."""
    return options.with_mask or options.with_probabilities or options.with_uncertainty


def extras_of(answer: Answer, *, options: Options) -> dict[str, Any]:
    """The mask, the scores and the uncertainties, encoded. Cost: compresses pictures, so call it off the event loop."""
    extras: dict[str, Any] = {}
    result = answer.prediction.result
    if options.with_mask and isinstance(result, Segmentation):
        extras["mask"] = _encoded("image/png", mask_png(result))
    if options.with_uncertainty and result is not None and (plane := pixels_of(result)) is not None:
        extras["uncertainty"] = _encoded("image/png", gray_png(plane))
    if options.with_probabilities and answer.raw:
        extras["probabilities"] = {name: _scores(array) for name, array in answer.raw.items()}
    return extras


def head_of(answers: Sequence[Answer], *, model: str, request_id: str) -> dict[str, Any]:
    """What is the same for all images of a request."""
    digest = next((answer.model_digest for answer in answers if answer.model_digest), "")
    return {"model": model, "model_digest": digest, "request_id": request_id}


def _scores(array: NDArray[Any]) -> list[float] | Mapping[str, str]:
    if array.ndim == 1:
        values: list[float] = array.tolist()
        return values
    if array.ndim == 2 and array.dtype == np.uint8:
        return _encoded("image/png", gray_png(array))
    return _encoded("application/x-npy", npy_bytes(array))


def _encoded(media_type: str, data: bytes) -> dict[str, str]:
    return {"media_type": media_type, "data": base64.b64encode(data).decode("ascii")}
