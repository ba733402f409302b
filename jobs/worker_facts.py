"""What a worker tells of itself with each shard: the commit record keeps it, the report and the metrics show it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import TypeAdapter

from inference_core.gpu_use import GpuUse
from inference_core.validation import Frozen

QUARANTINE = "quarantine"
"""Pool of the child processes that do what workers died on, and what is tried again."""


class WorkerFacts(Frozen):
    """One process that worked on a shard, when it had done so."""

    pool: str
    """``workers``; of the split layout ``prepare``, ``infer`` or ``commit``; or ``quarantine``."""
    peak_bytes: int | None = None
    """Most resident memory that the process ever held, shared pages included; None where the system does not tell."""
    gpu_peak_bytes: int | None = None
    """Most memory of the GPU that torch's tensors took in the process."""
    num_oom_halvings: int = 0
    """Forwards of the shard that did not fit the device and were halved."""
    gpu: GpuUse | None = None


FACTS = TypeAdapter(tuple[WorkerFacts, ...])


def write_facts(facts: Iterable[WorkerFacts]) -> str:
    """Facts as JSON, for a column."""
    return FACTS.dump_json(tuple(facts)).decode()


def read_facts(text: str) -> tuple[WorkerFacts, ...]:
    """The facts of ``write_facts``."""
    return FACTS.validate_json(text)
