"""Parameters of a request of the Open Inference Protocol."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from serve.answers import Options, ServedModel
from serve.errors import InvalidRequestError
from serve.oip_output import Output

Parameter = bool | int | float | str
OPTION_PARAMETERS = ("top_k", "threshold", "views")
TIMEOUT = "timeout"
"""Microseconds, as Triton has it."""


def read_options(parameters: Mapping[str, Parameter], *, model: ServedModel, outputs: Sequence[Output]) -> Options:
    """The options that a request's parameters and outputs ask for; their range is the backend's to check.

    Raises:
        InvalidRequestError: the model has no such option, or it is of the wrong type.
    """
    known = [name for name in OPTION_PARAMETERS if name in model.options]
    for name in parameters:
        if name not in known and name != TIMEOUT:
            allowed = ", ".join([*known, TIMEOUT])
            raise InvalidRequestError(
                f"parameters must be among {allowed} for model {model.name}, got {name!r}; remove it"
            )
    return Options(
        top_k=read_count("top_k", parameters.get("top_k")),
        views=read_count("views", parameters.get("views")),
        threshold=read_threshold(parameters.get("threshold")),
        with_mask=any(output.name in ("mask", "mask_png") for output in outputs),
        with_probabilities=any(output.name == "score_map" for output in outputs),
        with_uncertainty=any(output.name == "uncertainty_map" for output in outputs),
    )


def read_count(name: str, value: Parameter | None) -> int | None:
    """A whole number, if it was given."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InvalidRequestError(f"parameter {name} must be a whole number, got {value!r}; correct it")


def read_threshold(value: Parameter | None) -> float | None:
    """A number, if it was given; as text too, because some clients send no fractions otherwise."""
    if value is None or isinstance(value, bool):
        number = None if value is None else math.nan
    else:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
    if number is not None and not math.isfinite(number):
        raise InvalidRequestError(f"parameter threshold must be a number, got {value!r}; correct it")
    return number


def timeout_end(parameters: Mapping[str, Parameter]) -> float:
    """When the parameter ``timeout`` ends, on the clock of ``time.time``; never, if it was not given.

    Raises:
        InvalidRequestError: it is no number of microseconds.
    """
    value = parameters.get(TIMEOUT)
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(
            f"parameter timeout must be a whole number of microseconds from 1, got {value!r}; correct it"
        )
    return time.time() + value / 1e6
