"""Run tiles through an engine in micro-batches; one bad or too large image hurts only itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import DeviceMemoryError, EngineError, InferError, InputError, OutOfMemoryError
from inference_core.records import Uint8Array

Outputs = dict[str, NDArray[Any]]
"""Reduced outputs by name; the first axis is the batch."""


def run_tiles(
    tiles: Sequence[Uint8Array], forward: Callable[[Uint8Array], Outputs], *, batch_size: int
) -> list[Outputs | InputError]:
    """Forward every tile, ``batch_size`` at a time.

    A batch that does not fit the device, or that the model refuses, is halved until the tile to blame stands alone.

    Args:
        tiles: (h, w, C) uint8 each, all of one shape; not modified.
        forward: takes (B, h, w, C), gives arrays with first axis B.
        batch_size: most tiles in one forward.

    Returns:
        For each tile its outputs, without the batch axis, or the error that it causes alone.
    """
    results: list[Outputs | InputError] = []
    for start in range(0, len(tiles), batch_size):
        results += run_or_halve(tiles[start : start + batch_size], forward)
    return results


def run_or_halve(tiles: Sequence[Uint8Array], forward: Callable[[Uint8Array], Outputs]) -> list[Outputs | InputError]:
    """Forward one batch; on failure its halves."""
    try:
        outputs = forward(np.stack(tiles))
    except DeviceMemoryError:
        alone: InputError = OutOfMemoryError("the image does not fit the device's memory even alone; lower its size")
    except EngineError as exc:
        alone = InferError(f"the model refused the image: {exc}")
    else:
        return split_outputs(outputs)
    # Out of the handler, since the error's traceback holds every array of the failed forward.
    if len(tiles) == 1:
        return [alone]
    middle = len(tiles) // 2
    return run_or_halve(tiles[:middle], forward) + run_or_halve(tiles[middle:], forward)


def split_outputs(outputs: Outputs) -> list[Outputs | InputError]:
    """Each tile's own outputs; those that are not finite become its error."""
    return [
        {name: array[index] for name, array in outputs.items()}
        if outputs["finite"][index]
        else InferError("the model's output is not finite; check the weights, or use a higher precision")
        for index in range(len(outputs["finite"]))
    ]
