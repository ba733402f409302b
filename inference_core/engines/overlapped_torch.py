"""A torch engine on CUDA whose batches travel to the device and back while others compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference_core.engines.memory_errors import is_out_of_memory, memory_errors
from inference_core.engines.protocol import Array, EngineFacts
from inference_core.engines.torch_engine import TorchEngine, first_line
from inference_core.errors import DeviceMemoryError
from inference_core.records import Uint8Array


class OverlappedTorchEngine:
    """Copies through page-locked memory, to the device on a stream of its own.

    Args:
        engine: on CUDA; owned from here on.

    The page-locked memory comes from torch's own cache, which gives a block out again only when the copy from or to it
    has ended: two batches are under way at a time, so two blocks of a size are made.
    """

    def __init__(self, engine: TorchEngine) -> None:
        self.facts: EngineFacts = engine.facts
        self._engine = engine
        self._device = torch.device(engine.facts.device)
        self._copies = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    def run(self, batch: Uint8Array) -> dict[str, Tensor]:
        """See Engine.run."""
        return self._engine.run(batch)

    def load(self, batch: Uint8Array) -> Tensor:
        """See LoadingEngine.load."""
        return self._engine.load(batch)

    def run_loaded(self, pixels: Tensor, *, dropout_seed: Sequence[int] | None = None) -> dict[str, Tensor]:
        """See LoadingEngine.run_loaded."""
        return self._engine.run_loaded(pixels, dropout_seed=dropout_seed)

    def enable_dropout(self) -> None:
        """See LoadingEngine.enable_dropout."""
        self._engine.enable_dropout()

    def begin_load(self, tiles: Sequence[Uint8Array]) -> Tensor:
        """Begin to copy a batch to the device, as ``submit`` does: (B, h, w, C), B that of the tiles."""
        with memory_errors():
            return self._upload(tiles)[: len(tiles)]

    def submit(self, tiles: Sequence[Uint8Array]) -> dict[str, Tensor]:
        """See OverlappingEngine.submit."""
        return self._engine.run_tensor(lambda: self._upload(tiles), count=len(tiles))

    def fetch(self, arrays: Mapping[str, Array]) -> Callable[[], dict[str, NDArray[Any]]]:
        """See OverlappingEngine.fetch."""
        try:
            copies = {name: begin_download(array) for name, array in arrays.items()}
        except (MemoryError, RuntimeError) as exc:
            if is_out_of_memory(exc):
                raise DeviceMemoryError(first_line(exc)) from exc
            raise
        # A blocking event: the thread sleeps until then, and leaves its core to who prepares images.
        arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        arrived.record(torch.cuda.current_stream(self._device))

        def wait() -> dict[str, NDArray[Any]]:
            arrived.synchronize()
            # Copies: page-locked memory is scarce, and answers live until their shard is written.
            return {name: copy.numpy().copy() for name, copy in copies.items()}

        return wait

    def _upload(self, tiles: Sequence[Uint8Array]) -> Tensor:
        """The batch on the device, filled up; what the current stream does from here on waits for it."""
        locked = lock_tiles(tiles, size=self._engine.filled_size(len(tiles)) or len(tiles))
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copies):
            pixels = locked.to(self._device, non_blocking=True)
        computing.wait_stream(self._copies)
        pixels.record_stream(computing)  # its memory belongs to the other stream, which must not reuse it too early
        return pixels


def lock_tiles(tiles: Sequence[Uint8Array], *, size: int, pin_memory: bool = True) -> Tensor:
    """Tiles as one batch in page-locked memory.

    Args:
        tiles: (h, w, C) uint8 each.
        size: images of the batch; blank ones fill it up.
        pin_memory: False for memory like any other, where there is no CUDA.

    Returns:
        (size, h, w, C) uint8.
    """
    locked = torch.empty((max(size, len(tiles)), *tiles[0].shape), dtype=torch.uint8, pin_memory=pin_memory)
    np.stack(tiles, out=locked.numpy()[: len(tiles)])
    locked[len(tiles) :] = 0
    return locked


def begin_download(array: Array) -> Tensor:
    """An array on its way into page-locked memory; one that is on the CPU as it is."""
    tensor = torch.as_tensor(array)
    if not tensor.is_cuda:
        return tensor
    locked = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return locked.copy_(tensor, non_blocking=True)
