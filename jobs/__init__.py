"""Batch jobs: the three verbs of the core as a Ray Data pipeline with a commit log.

from jobs import run

outcome = run({"model": "my-model", "input": "images", "output": "results"})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.api import (
        CommittedRows,
        Exported,
        Outcome,
        RunStatus,
        export,
        iterate_results,
        read_results,
        read_status,
        run,
    )

__all__ = [
    "CommittedRows",
    "Exported",
    "Outcome",
    "RunStatus",
    "export",
    "iterate_results",
    "read_results",
    "read_status",
    "run",
]


def __getattr__(name: str) -> Any:
    """Names of ``jobs.api``, loaded with the first of them: workers import modules of this package and need none."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jobs import api

    return getattr(api, name)
