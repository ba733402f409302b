"""Begin a batch while the one before it computes: for engines whose device works beside the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from numpy.typing import NDArray

from inference_core.engines.protocol import Array
from inference_core.errors import DeviceMemoryError, EngineError
from inference_core.records import Uint8Array

B = TypeVar("B")
R = TypeVar("R")


@runtime_checkable
class OverlappingEngine(Protocol):
    """What an engine gives, besides Engine, whose copies and forwards need not be waited for."""

    def submit(self, tiles: Sequence[Uint8Array]) -> dict[str, Array]:
        """Begin to copy a batch and to forward it; as Engine.run, but the outputs may still have to be computed.

        Args:
            tiles: (h, w, C) uint8 each, all of one shape; not modified, and not read after the call.

        Raises:
            DeviceMemoryError: the batch does not fit; a smaller one may.
            EngineError: the model refused the batch.
        """

    def fetch(self, arrays: Mapping[str, Array]) -> Callable[[], dict[str, NDArray[Any]]]:
        """Begin to copy what was computed from ``submit``'s outputs to the CPU; the call of the result waits for it.

        Raises:
            DeviceMemoryError: the copies do not fit.
        """


@runtime_checkable
class TileLoader(Protocol):
    """What such an engine gives besides, where a batch is to be forwarded several times."""

    def begin_load(self, tiles: Sequence[Uint8Array]) -> Array:
        """Begin to copy a batch to the device, for ``LoadingEngine.run_loaded``.

        Args:
            tiles: as for ``submit``.

        Returns:
            (B, h, w, C) uint8, B that of the tiles.

        Raises:
            DeviceMemoryError: the batch does not fit.
        """

    def fetch(self, arrays: Mapping[str, Array]) -> Callable[[], dict[str, NDArray[Any]]]:
        """See OverlappingEngine.fetch."""


def overlap(batches: Iterable[B], *, begin: Callable[[B], Callable[[], R]], run: Callable[[B], R]) -> Iterator[R]:
    """Results of batches in order, each begun before the one before it is waited for.

    Args:
        batches: asked for one by one, so that what a failed one has shown can shape the next.
        begin: starts a batch; the call of what it gives waits for the result.
        run: does a whole batch, where ``begin`` or the wait ran out of memory or was refused. Nothing else is under
            way then, as far as the failure allows.
    """
    waiting: tuple[B, Callable[[], R]] | None = None
    for batch in batches:
        begun = attempt(partial(begin, batch))
        if waiting is not None:
            yield end(*waiting, run=run)
        waiting = (batch, begun) if begun is not None else None
        if begun is None:
            yield run(batch)
    if waiting is not None:
        yield end(*waiting, run=run)


def end(batch: B, wait: Callable[[], R], *, run: Callable[[B], R]) -> R:
    """The result of a batch that was begun."""
    result = attempt(wait)
    return run(batch) if result is None else result


def attempt(act: Callable[[], R]) -> R | None:
    """What ``act`` gives, None where it failed for a reason that a smaller batch may not have."""
    try:
        return act()
    except (DeviceMemoryError, EngineError):
        return None
