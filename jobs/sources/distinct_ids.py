"""Whether an id occurs again among millions, in eight bytes for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.int64]


class DistinctIds:
    """Ids seen so far, as sorted hashes of 64 bits.

    Levels of falling length, each at most half as long as the one before, are merged as ids come: a batch is looked up
    in a few sorted arrays, and an id is moved a few times.
    """

    def __init__(self) -> None:
        self._levels: list[Hashes] = []

    @property
    def num_bytes(self) -> int:
        """Memory of all levels."""
        return sum(level.nbytes for level in self._levels)

    def add(self, ids: Sequence[str]) -> int | None:
        """See a batch of ids.

        Returns:
            The position in the batch of the first one that was seen before, in it or earlier; None where all are new.
        """
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        order = np.argsort(hashes, kind="stable")
        new = hashes[order]
        is_repeated = np.zeros(len(hashes), bool)
        is_repeated[order[1:]] = new[1:] == new[:-1]
        for level in self._levels:
            places = np.minimum(np.searchsorted(level, hashes), len(level) - 1)
            is_repeated |= level[places] == hashes
        if is_repeated.any():
            return int(np.argmax(is_repeated))
        while self._levels and len(self._levels[-1]) < 2 * len(new):
            new = np.sort(np.concatenate([self._levels.pop(), new]), kind="stable")
        if len(new):
            self._levels.append(new)
        return None
