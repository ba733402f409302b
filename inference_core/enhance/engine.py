"""An engine whose forward is several: what it gives is their merged answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from inference_core.engines.memory_errors import memory_errors
from inference_core.engines.overlap import TileLoader
from inference_core.engines.protocol import Array, Engine, EngineFacts, LoadingEngine
from inference_core.enhance.forwards import Load, Seen, Source
from inference_core.records import Uint8Array


class Answer(Protocol):
    """Merges what forwards say."""

    def merge(self, forwards: Iterable[Seen]) -> dict[str, Array]:
        """Outputs by name, first axis B."""


class EnhancedEngine:
    """Runs all forwards of a batch, one after the other.

    Args:
        source: of the forwards.
        answer: merges them.
        engines: that run them.
        facts: of these together.
    """

    def __init__(self, source: Source, answer: Answer, *, engines: Sequence[Engine], facts: EngineFacts) -> None:
        self.facts = facts
        self.engines = tuple(engines)
        self._source = source
        self._answer = answer

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        """See Engine.run. The outputs are scores, features or boxes, and what is told of the forwards beside them."""

        def load(engine: Engine) -> Array:
            return engine.load(batch) if isinstance(engine, LoadingEngine) else batch

        return self.merge(load, tile_hw=(batch.shape[1], batch.shape[2]))

    def merge(self, load: Load, *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """The merged answer to a batch of tiles."""
        with memory_errors():
            return self._answer.merge(self._source.forwards(load, tile_hw=tile_hw))


class OverlappedEnhancedEngine(EnhancedEngine):
    """The same on engines that compute beside the CPU.

    Args:
        source: of the forwards.
        answer: merges them.
        engines: see EnhancedEngine.
        loaders: the same, as what begins copies.
        facts: see EnhancedEngine.
    """

    def __init__(
        self,
        source: Source,
        answer: Answer,
        *,
        engines: Sequence[Engine],
        loaders: Sequence[TileLoader],
        facts: EngineFacts,
    ) -> None:
        super().__init__(source, answer, engines=engines, facts=facts)
        self._loaders = loaders

    def submit(self, tiles: Sequence[Uint8Array]) -> dict[str, Array]:
        """See OverlappingEngine.submit."""
        shape = tiles[0].shape

        def load(engine: Engine) -> Array:
            assert isinstance(engine, TileLoader), "all engines of an overlapped one are"
            return engine.begin_load(tiles)

        return self.merge(load, tile_hw=(shape[0], shape[1]))

    def fetch(self, arrays: Mapping[str, Array]) -> Callable[[], dict[str, NDArray[Any]]]:
        """See OverlappingEngine.fetch."""
        return self._loaders[0].fetch(arrays)
