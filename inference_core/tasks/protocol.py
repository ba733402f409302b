"""What every task does: shrink the model's output on the device, then finish it on the CPU, then make a row of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inference_core.engines.protocol import Array
from inference_core.records import Placement
from inference_core.results import Result

RawOutput = Mapping[str, NDArray[Any]]
"""One image's reduced output: arrays by name, the first axis is the image's tiles."""


class Reducer(Protocol):
    """What makes a model's output small, where it was computed."""

    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """Keep what finishing needs, in small types, on the device.

        Args:
            outputs: the model's outputs by name; the first axis is B tiles.
            tile_hw: height and width of the model's input.

        Returns:
            Arrays by name, first axis B; among them ``finite`` (B,) bool.

        Raises:
            ModelError: the output's shape does not fit the spec.
        """


class Task(Reducer, Protocol):
    """One kind of answer."""

    @property
    def result_fields(self) -> tuple[pa.Field, ...]:
        """The task's own columns of a result row; null where the image failed."""

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """The answer in the image's own pixels. ``raw`` is not modified."""

    def to_row(self, result: Result) -> dict[str, Any]:
        """Values of ``result_fields`` by column name."""


def mean_or_zero(total: float, count: int) -> float:
    """``total / count``, 0 where there is nothing to divide."""
    return float(np.float32(total / count)) if count else 0.0
