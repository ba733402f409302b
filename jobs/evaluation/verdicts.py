"""The verdicts of a run beside the errors of its answers."""

from __future__ import annotations

import numpy as np

from inference_core.evaluation.findings import Findings
from inference_core.evaluation.of_verdicts import VerdictFindings, evaluate_verdicts
from inference_core.export.committed_rows import iterate_results
from jobs.evaluation.labelled_run import LabelledRun

COLUMNS = ("verdict", "priority")


def verdicts_of(run: LabelledRun, findings: Findings, *, seed: int) -> VerdictFindings | None:
    """Errors by verdict; None where the run's package declares no ``quality``."""
    first = next(iterate_results(run.output), None)
    if findings.image_errors is None or first is None or "verdict" not in first.rows.column_names:
        return None
    parts = [rows.select(COLUMNS).to_pydict() for rows in run.rows(COLUMNS)]
    return evaluate_verdicts(
        findings.image_errors,
        [verdict for part in parts for verdict in part["verdict"]],
        np.array([priority for part in parts for priority in part["priority"]], np.float64),
        error_name=findings.error_name,
        seed=seed,
    )
