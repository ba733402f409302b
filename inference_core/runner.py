"""The second verb: prepared tiles go through the engine and come back small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.engines.batching import Outputs, cut_batches, run_batch, split_outputs
from inference_core.engines.fitting_sizes import FittingSizes
from inference_core.engines.memory_errors import memory_errors
from inference_core.engines.overlap import OverlappingEngine, overlap
from inference_core.engines.protocol import Array, Engine, EngineFacts
from inference_core.enhance.member_engines import MemberEngines
from inference_core.errors import InputError, ModelError
from inference_core.items import PreparedItem, RawItem, RawPart
from inference_core.preparer import elapsed_ms
from inference_core.records import Uint8Array
from inference_core.tasks.kept_masks import cut_to_boxes
from inference_core.tasks.protocol import Reducer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Items of one chunk whose tiles have one shape."""

    indices: Sequence[int]
    """Of the items, in order."""
    tiles: Sequence[Uint8Array]
    """Theirs, (h, w, C) each."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """What goes into one forward if it fits."""

    group: int
    """Position of the group that it is of."""
    tiles: Sequence[Uint8Array]


class Runner:
    """One model on one device, or several that make one answer; one thread at a time.

    Args:
        engine: forwards batches.
        task: reduces the model's outputs on the device; not asked where members take different inputs.
        batch_size: images per chunk and tiles per forward.
        size_of_shape: (h, w) to tiles per forward of that shape, where fewer are faster.
    """

    def __init__(
        self,
        engine: Engine,
        task: Reducer,
        *,
        batch_size: int,
        size_of_shape: Mapping[tuple[int, int], int] | None = None,
    ) -> None:
        self._engine = engine
        self._task = task
        self.batch_size = batch_size
        self._sizes = FittingSizes(min(batch_size, engine.facts.max_batch or batch_size), of_shape=size_of_shape)
        members = engine.members if isinstance(engine, MemberEngines) else ()
        self._blocks = tuple(member.block for member in members)
        self.members = tuple(Runner(member.engine, member.reducer, batch_size=batch_size) for member in members)
        """Of the members that take different inputs, in order; none of any other model."""

    @property
    def engine(self) -> Engine:
        """What forwards batches."""
        return self._engine

    @property
    def engine_facts(self) -> EngineFacts:
        """What runs the model and where."""
        return self._engine.facts

    @property
    def num_oom_halvings(self) -> int:
        """Forwards so far that did not fit the device and were halved."""
        return self._sizes.num_oom_halvings + sum(member.num_oom_halvings for member in self.members)

    def with_batch_size(self, batch_size: int) -> Runner:
        """The same model in batches of another size."""
        return Runner(self._engine, self._task, batch_size=batch_size)

    def infer(self, items: Sequence[PreparedItem]) -> list[RawItem]:
        """Run the model on items; those that failed before pass through.

        Chunks of ``batch_size`` consecutive items are formed first, failed ones counted, and only then batches
        within each chunk: so what shares a forward depends on the order of the items alone, not on who calls. Only
        where a forward did not fit the device are the following ones smaller.
        """
        if self.members:
            return self._infer_members(items)
        results = [failed_before(item) for item in items]
        groups = group_items(items, chunk_size=self.batch_size)
        for group, (outputs, infer_ms) in zip(groups, self._run_groups(groups), strict=True):
            position, tile_ms = 0, infer_ms / len(group.tiles)
            for index in group.indices:
                item = items[index]
                assert item.prepared is not None, "only prepared items are grouped"
                count = item.prepared.placement.num_tiles
                own = outputs[position : position + count]
                results[index] = collect(item, own, infer_ms=tile_ms * count, engine=str(self.engine_facts))
                position += count
        return [result for result in results if result is not None]

    def _infer_members(self, items: Sequence[PreparedItem]) -> list[RawItem]:
        """Each member on its own input of every item, one member after the other."""
        by_member = [
            member.infer([block_of(item, block) for item in items])
            for member, block in zip(self.members, self._blocks, strict=True)
        ]
        return [join_parts(parts, engine=str(self.engine_facts)) for parts in zip(*by_member, strict=True)]

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
        with memory_errors():
            reduced = self._task.reduce(outputs, tile_hw=(batch.shape[1], batch.shape[2]))
            arrays = {name: to_numpy(array) for name, array in reduced.items()}
        check_batch_axis(arrays, num_tiles=len(batch))
        return arrays

    def _run_groups(self, groups: Sequence[Group]) -> Iterator[tuple[list[Outputs | InputError], float]]:
        """Each group's outputs, one for each tile, and the milliseconds that it took."""
        outputs: list[list[Outputs | InputError]] = [[] for _ in groups]
        started, infer_ms = time.perf_counter(), 0.0
        for batch, found in self._run_batches(groups):
            outputs[batch.group] += found
            infer_ms += elapsed_ms(started)
            started = time.perf_counter()
            if len(outputs[batch.group]) == len(groups[batch.group].tiles):
                yield outputs[batch.group], infer_ms
                started, infer_ms = time.perf_counter(), 0.0

    def _run_batches(self, groups: Sequence[Group]) -> Iterator[tuple[Batch, list[Outputs | InputError]]]:
        """Batches of all groups with their outputs, in order."""
        batches = (
            Batch(group=index, tiles=tiles)
            for index, group in enumerate(groups)
            for tiles in cut_batches(group.tiles, self._sizes)
        )
        if isinstance(self._engine, OverlappingEngine):
            engine = self._engine
            return overlap(batches, begin=lambda batch: self._begin(engine, batch), run=self._run)
        return map(self._run, batches)

    def _run(self, batch: Batch) -> tuple[Batch, list[Outputs | InputError]]:
        """A batch, or its halves."""
        return batch, run_batch(batch.tiles, self.forward, sizes=self._sizes)

    def _begin(self, engine: OverlappingEngine, batch: Batch) -> Callable[[], tuple[Batch, list[Outputs | InputError]]]:
        """A whole batch under way; the call of the result waits for it."""
        shape = batch.tiles[0].shape
        outputs = engine.submit(batch.tiles)
        with memory_errors():
            reduced = self._task.reduce(outputs, tile_hw=(shape[0], shape[1]))
        wait = engine.fetch(reduced)

        def end() -> tuple[Batch, list[Outputs | InputError]]:
            arrays = wait()
            check_batch_axis(arrays, num_tiles=len(batch.tiles))
            self._sizes.note_fit(shape, len(batch.tiles))
            return batch, split_outputs(arrays)

        return end


def group_items(items: Sequence[PreparedItem], *, chunk_size: int) -> list[Group]:
    """Items that may share a forward: within chunks of consecutive ones, failed ones counted, by shape of tile."""
    found: dict[tuple[int, ...], list[int]] = {}
    for index, item in enumerate(items):
        if item.prepared is not None:
            found.setdefault((index // chunk_size, *item.prepared.tiles.shape[1:]), []).append(index)
    return [
        Group(
            indices=indices,
            tiles=[tile for index in indices if (prepared := items[index].prepared) for tile in prepared.tiles],
        )
        for indices in found.values()
    ]


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


def block_of(item: PreparedItem, block: int) -> PreparedItem:
    """An item as a member sees it; one that failed before as it is."""
    return replace(item, prepared=item.blocks[block], others=()) if item.prepared else item


def join_parts(parts: Sequence[RawItem], *, engine: str) -> RawItem:
    """What all members gave for one item together; one that failed fails the item."""
    first, *others = parts
    times = replace(first.stage_ms, infer=sum(part.stage_ms.infer for part in parts))
    failed = next((part for part in parts if part.raw is None), None)
    if failed is not None:
        return replace(failed, stage_ms=times)
    rest = [RawPart(placement=part.placement, raw=part.raw) for part in others if part.placement and part.raw]
    return replace(first, others=tuple(rest), stage_ms=times, engine=engine)


def stack_tiles(outputs: Sequence[Outputs]) -> dict[str, NDArray[Any]]:
    """Arrays by name with the tiles as first axis; a lone tile is not copied."""
    tiles = cut_to_boxes(outputs)
    if len(tiles) == 1:
        return {name: array[None] for name, array in tiles[0].items() if name != "finite"}
    return {name: np.stack([tile[name] for tile in tiles]) for name in tiles[0] if name != "finite"}
