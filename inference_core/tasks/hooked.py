"""A task with functions of the user's around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.protocol import Array
from inference_core.errors import DeviceMemoryError, EngineError, InferError, ModelError
from inference_core.records import Placement
from inference_core.results import Result
from inference_core.tasks.hook_decoder import HookDecoder
from inference_core.tasks.hook_step import HookRecordStep
from inference_core.tasks.protocol import RawOutput, Task


@contextmanager
def decoder_errors() -> Iterator[None]:
    """What a decoder of the user's does wrong, as an error of the batch.

    Raises:
        DeviceMemoryError: it ran out of memory.
        EngineError: anything else.
    """
    try:
        yield
    except DeviceMemoryError:
        raise
    except (InferError, ModelError) as exc:
        if isinstance(exc.__cause__, MemoryError | RuntimeError) and is_out_of_memory(exc.__cause__):
            raise DeviceMemoryError(str(exc)) from exc
        raise EngineError(str(exc)) from exc


class HookedTask:
    """Decodes before a task reads, and changes the answer after it has finished.

    Args:
        task: in between.
        decoder: of the model's outputs; None where the task reads them itself.
        steps: on the answer, in order.
    """

    def __init__(self, task: Task, *, decoder: HookDecoder | None, steps: Sequence[HookRecordStep]) -> None:
        self._task = task
        self._decoder = decoder
        self._steps = steps

    @property
    def result_fields(self) -> tuple[pa.Field, ...]:
        """See Task."""
        return self._task.result_fields

    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """See Task. What a decoder does wrong is an EngineError: its batch is halved until the image to blame stands
        alone.
        """
        if self._decoder is None:
            return self._task.reduce(outputs, tile_hw=tile_hw)
        with decoder_errors():
            return self._task.reduce(self._decoder(outputs), tile_hw=tile_hw)

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """See Task.

        Raises:
            InputError: a step raised something, or gave something else than it must.
        """
        result = self._task.finish(raw, placement)
        for step in self._steps:
            result = step(result)
        return result

    def to_row(self, result: Result) -> dict[str, Any]:
        """See Task."""
        return self._task.to_row(result)
