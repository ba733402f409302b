"""How busy the pools of the running pipeline are: written where the pipeline is stepped, read where it is told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLoad:
    """One pool at one moment."""

    num_waiting: int
    """Shards that wait for it."""
    num_busy: int
    """Calls that it works on."""
    num_failed: int
    """Calls of this execution that failed for good."""
    actors: Mapping[str, int]
    """By state; empty for a pool of tasks."""


class PoolLoads:
    """The pools of whatever pipeline runs at the moment.

    The callback that writes is made by Ray, so the loads that are to be written stand with the class.
    """

    current: ClassVar[PoolLoads | None] = None

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads: dict[str, PoolLoad] = {}
        self._ended: Counter[str] = Counter()

    def note(self, loads: Mapping[str, PoolLoad]) -> None:
        """The pipeline's pools are like this now."""
        with self._lock:
            self._loads = dict(loads)

    def end(self, loads: Mapping[str, PoolLoad]) -> None:
        """The pipeline is over; its pools were like this at last."""
        with self._lock:
            self._ended.update({pool: load.num_failed for pool, load in loads.items()})
            self._loads = {}

    def read(self) -> tuple[dict[str, PoolLoad], dict[str, int]]:
        """The pools now, and the failed calls of all pipelines by pool."""
        with self._lock:
            failed = Counter(self._ended)
            failed.update({pool: load.num_failed for pool, load in self._loads.items()})
            return dict(self._loads), dict(failed)
