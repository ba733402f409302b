"""What makes two commands the same run."""

from __future__ import annotations

from typing import Any

from jobs.config import JobConfig, ResultsConfig, dump_settings

RESULT_KEYS = ("input", "source", "include", "exclude", "limits", "results")
"""Settings that change what a finished run holds; a resumed run must have the same."""
AFTERWARDS = ("budget_gb", "annotations")
"""Of ``results``, what does not change the rows and the files that they name."""
EXECUTION_KEYS = ("engine", "precision", "precision_guard", "batch_size", "duplicates", "compile", "cuda_graphs")
"""Likewise of ``execution``: they change the last bits."""


def identity_of(config: JobConfig, *, model_digest: str) -> dict[str, Any]:
    """What makes two commands the same run: settings that change results, and the model."""
    dumped = dump_settings(config)
    execution = {key: dumped["execution"][key] for key in EXECUTION_KEYS}
    parts = {**{key: dumped[key] for key in RESULT_KEYS}, "results": results_identity(config.results)}
    return {"model_digest": model_digest, **parts, "execution": execution}


def results_identity(results: ResultsConfig) -> dict[str, Any]:
    """``masks``, and what else differs from the defaults: so new settings leave the identity of older runs alone."""
    changed = results.model_dump(mode="json", exclude_defaults=True, exclude=set(AFTERWARDS))
    return {"masks": results.masks, **changed}
