"""The second verb: prepared tiles go through the engine and come back small."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.engines.batching import Outputs, run_tiles
from inference_core.engines.memory_errors import is_out_of_memory
from inference_core.engines.protocol import Array, Engine, EngineFacts
from inference_core.errors import DeviceMemoryError, InputError, ModelError
from inference_core.preparer import elapsed_ms
from inference_core.records import PreparedItem, RawItem, Uint8Array
from inference_core.tasks.protocol import Task


class Runner:
    """One model on one device.

    Args:
        engine: forwards batches.
        task: reduces the model's outputs on the device.
        batch_size: images per chunk and tiles per forward.
    """

    def __init__(self, engine: Engine, task: Task, *, batch_size: int) -> None:
        self._engine = engine
        self._task = task
        self.batch_size = batch_size
        self._max_tiles = min(batch_size, engine.facts.max_batch or batch_size)

    @property
    def engine_facts(self) -> EngineFacts:
        """What runs the model and where."""
        return self._engine.facts

    def infer(self, items: Sequence[PreparedItem]) -> list[RawItem]:
        """Run the model on items; those that failed before pass through.

        Chunks of ``batch_size`` consecutive items are formed first, failed ones counted, and only then batches
        within each chunk: so what shares a forward depends on the order of the items alone, not on who calls.
        """
        results: list[RawItem] = []
        for start in range(0, len(items), self.batch_size):
            results += self._infer_chunk(items[start : start + self.batch_size])
        return results

    def forward(self, batch: Uint8Array) -> Outputs:
        """Forward one batch and bring the reduced outputs to the CPU.

        Args:
            batch: (B, h, w, C) uint8.

        Returns:
            The task's arrays by name, first axis B.

        Raises:
            DeviceMemoryError: the batch or its reduction does not fit the device.
            EngineError: the model refused the batch.
            ModelError: the output does not fit the task.
        """
        outputs = self._engine.run(batch)
        try:
            reduced = self._task.reduce(outputs, tile_hw=(batch.shape[1], batch.shape[2]))
            arrays = {name: to_numpy(array) for name, array in reduced.items()}
        except (MemoryError, RuntimeError) as exc:
            if is_out_of_memory(exc):
                raise DeviceMemoryError(str(exc)) from exc
            raise
        check_batch_axis(arrays, num_tiles=len(batch))
        return arrays

    def _infer_chunk(self, items: Sequence[PreparedItem]) -> list[RawItem]:
        """One chunk: a batch for each shape of tile in it."""
        results: list[RawItem | None] = [failed_before(item) for item in items]
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, item in enumerate(items):
            if item.prepared is not None:
                by_shape.setdefault(item.prepared.tiles.shape[1:], []).append(index)
        for indices in by_shape.values():
            for index, result in zip(indices, self._infer_same_shape([items[i] for i in indices]), strict=True):
                results[index] = result
        return [result for result in results if result is not None]

    def _infer_same_shape(self, items: Sequence[PreparedItem]) -> list[RawItem]:
        """Items whose tiles have one shape."""
        started = time.perf_counter()
        tiles = [tile for item in items if item.prepared for tile in item.prepared.tiles]
        outputs = run_tiles(tiles, self.forward, batch_size=self._max_tiles)
        tile_ms = elapsed_ms(started) / len(tiles)
        results, position = [], 0
        for item in items:
            assert item.prepared is not None, "only prepared items are grouped by shape"
            count = item.prepared.placement.num_tiles
            own = outputs[position : position + count]
            results.append(collect(item, own, infer_ms=tile_ms * count, engine=str(self.engine_facts)))
            position += count
        return results


def to_numpy(array: Array) -> NDArray[Any]:
    """An array of any device as a NumPy array."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def check_batch_axis(arrays: Outputs, *, num_tiles: int) -> None:
    """Raise ModelError unless there is one output for each tile."""
    for array in arrays.values():
        if len(array) != num_tiles:
            raise ModelError(
                f"the model must give one output for each image of a batch, got {len(array)} for {num_tiles}; "
                "export it with a batch axis, or set output.name"
            )


def failed_before(item: PreparedItem) -> RawItem | None:
    """The item as it leaves infer if it never reached it, else None."""
    if item.prepared is not None:
        return None
    return RawItem(source=item.source, status=item.status, error=item.error, stage_ms=item.stage_ms)


def collect(item: PreparedItem, outputs: Sequence[Outputs | InputError], *, infer_ms: float, engine: str) -> RawItem:
    """One image's tiles together; one failed tile fails the image."""
    times = replace(item.stage_ms, infer=infer_ms)
    good: list[Outputs] = []
    for output in outputs:
        if isinstance(output, InputError):
            return RawItem(source=item.source, status=output.status, error=str(output), stage_ms=times, engine=engine)
        good.append(output)
    assert item.prepared is not None, "only prepared items are run"
    return RawItem(
        source=item.source,
        placement=item.prepared.placement,
        raw=stack_tiles(good),
        stage_ms=times,
        engine=engine,
    )


def stack_tiles(outputs: Sequence[Outputs]) -> dict[str, NDArray[Any]]:
    """Arrays by name with the tiles as first axis; a lone tile is not copied."""
    if len(outputs) == 1:
        return {name: array[None] for name, array in outputs[0].items() if name != "finite"}
    return {name: np.stack([output[name] for output in outputs]) for name in outputs[0] if name != "finite"}
