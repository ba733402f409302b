"""The rows with the smallest keys, exactly and whatever the order in which they come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One row. Rows order by key, then by image, so that equal keys leave no choice."""

    key: float
    image_id: str
    shard_id: int
    ord: int
    """Place in the shard."""


class SmallestRows:
    """Keeps the ``count`` smallest rows that were offered.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._found: list[Found] = []

    def offer(self, keys: NDArray[Any], ords: NDArray[np.int64], *, image_ids: Sequence[str], shard_id: int) -> None:
        """Look at rows of a shard.

        Args:
            keys: (N,) numbers.
            ords: (N,) places of the rows in the shard.
            image_ids: of all rows of the shard.
            shard_id: the shard.
        """
        if self._count < 1 or not len(keys):
            return
        if len(keys) > self._count:
            is_small = keys <= np.partition(keys, self._count - 1)[self._count - 1]
            keys, ords = keys[is_small], ords[is_small]
        if len(self._found) == self._count:  # spares building an entry for each row
            is_small = keys <= self._found[-1].key
            keys, ords = keys[is_small], ords[is_small]
        new = [
            Found(key, image_ids[ord_], shard_id, ord_) for key, ord_ in zip(keys.tolist(), ords.tolist(), strict=True)
        ]
        if new:
            self._found = nsmallest(self._count, [*self._found, *new])

    def rows(self) -> list[Found]:
        """What was kept, rising."""
        return self._found


def chance_keys(image_ids: Sequence[str], *, seed: int) -> NDArray[np.uint64]:
    """(N,) uint64 by chance, but always the same for an image and a seed: the smallest are a fair sample."""
    start = f"{seed}\0".encode()
    digests = b"".join(
        blake2b(start + image_id.encode(errors="replace"), digest_size=8).digest() for image_id in image_ids
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)
