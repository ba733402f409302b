"""What engines that run stored graphs share: filled batches and outputs as float32."""

from __future__ import annotations

import numpy as np

from inference_core.engines.protocol import Array
from inference_core.records import Uint8Array


def fill_batch(batch: Uint8Array, *, size: int | None) -> Uint8Array:
    """The batch, with blank images up to the size that a graph fixes; their outputs are to be dropped."""
    missing = (size or 0) - len(batch)
    if missing <= 0:
        return batch
    return np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.uint8)])


def drop_filling(output: Array, *, count: int, size: int | None) -> Array:
    """An output without the rows of the blank images that ``fill_batch`` added."""
    was_filled = size is not None and count < size and output.ndim > 0 and len(output) == size
    return output[:count] if was_filled else output


def as_float32(output: Array) -> Array:
    """A NumPy output; half and double precision become float32."""
    return output.astype(np.float32, copy=False) if np.issubdtype(output.dtype, np.floating) else output
