"""What a function of the user's gets: arrays that it cannot change under others."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.results import Result


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory through an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


def read_only_record(result: Result) -> Result:
    """A result whose arrays cannot be written to."""
    values = {field.name: getattr(result, field.name) for field in fields(result)}
    arrays: dict[str, Any] = {name: read_only(one) for name, one in values.items() if isinstance(one, np.ndarray)}
    return replace(result, **arrays)
