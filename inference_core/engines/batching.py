"""Run tiles through an engine in micro-batches; one bad or too large image hurts only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.engines.fitting_sizes import FittingSizes
from inference_core.errors import DeviceMemoryError, EngineError, InferError, InputError, OutOfMemoryError
from inference_core.records import Uint8Array

Outputs = dict[str, NDArray[Any]]
"""Reduced outputs by name; the first axis is the batch."""

Forward = Callable[[Uint8Array], Outputs]
"""Takes (B, h, w, C), gives arrays with first axis B."""


def cut_batches(tiles: Sequence[Uint8Array], sizes: FittingSizes) -> Iterator[Sequence[Uint8Array]]:
    """Tiles of one shape in batches. Each is cut when it is asked for, by what is known to fit then."""
    position = 0
    while position < len(tiles):
        size = sizes.size_of(tiles[0].shape)
        yield tiles[position : position + size]
        position += size


def run_batch(tiles: Sequence[Uint8Array], forward: Forward, *, sizes: FittingSizes) -> list[Outputs | InputError]:
    """Forward one batch.

    A batch that does not fit the device, or that the model refuses, is halved until the tile to blame stands alone.
    The size that fitted is kept for the next batches; not where a tile does not fit even alone, but others do: then
    it was that tile and not the number.

    Args:
        tiles: (h, w, C) uint8 each, at least one, all of one shape; not modified.
        forward: runs and reduces a batch.
        sizes: what is known to fit; told what is found.

    Returns:
        For each tile its outputs, without the batch axis, or the error that it causes alone.
    """
    results: list[Outputs | InputError] = []
    waiting = [tiles]
    largest = len(tiles)
    num_fitted = num_heavy = 0
    while waiting:
        part = waiting.pop()
        outcome = try_forward(part, forward) if len(part) <= largest else None
        if isinstance(outcome, list):
            results += outcome
            num_fitted += len(part)
            continue
        is_oom = isinstance(outcome, OutOfMemoryError)
        if outcome is not None and len(part) == 1:
            results.append(outcome)
            num_heavy += is_oom
            largest = len(tiles) if is_oom else largest
            continue
        middle = len(part) // 2
        waiting += [part[middle:], part[:middle]]
        if is_oom:
            largest = middle
            sizes.num_oom_halvings += 1
    note_outcome(tiles, sizes, largest=largest, is_heavy=num_heavy > 0, has_fitted=num_fitted > 0)
    return results


def note_outcome(
    tiles: Sequence[Uint8Array], sizes: FittingSizes, *, largest: int, is_heavy: bool, has_fitted: bool
) -> None:
    """Tell ``sizes`` what a batch has shown.

    Args:
        tiles: of the batch.
        sizes: told.
        largest: most of them that may fit at once.
        is_heavy: whether one did not fit even alone.
        has_fitted: whether any fitted.
    """
    shape = tiles[0].shape
    if is_heavy and not has_fitted:
        sizes.note_limit(shape, 1)
    elif largest < len(tiles):
        sizes.note_limit(shape, largest)
    elif not is_heavy:
        sizes.note_fit(shape, len(tiles))


def try_forward(tiles: Sequence[Uint8Array], forward: Forward) -> list[Outputs | InputError] | InputError:
    """Each tile's own outputs, or what to say of the tile if it is the only one.

    Nothing of the failed forward stays in memory: the error's traceback, which holds its arrays, ends here.
    """
    try:
        outputs = forward(np.stack(tiles))
    except DeviceMemoryError:
        return OutOfMemoryError("the image does not fit the device's memory even alone; lower its size")
    except EngineError as exc:
        return InferError(f"the model refused the image: {exc}")
    return split_outputs(outputs)


def split_outputs(outputs: Outputs) -> list[Outputs | InputError]:
    """Each tile's own outputs; those that are not finite become its error."""
    return [
        {name: array[index] for name, array in outputs.items()}
        if outputs["finite"][index]
        else InferError("the model's output is not finite; check the weights, or use a higher precision")
        for index in range(len(outputs["finite"]))
    ]
