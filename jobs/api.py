"""Jobs from Python: run one, see how it stands, read its rows.

from jobs import run

outcome = run({"model": "my-model", "input": "images", "output": "results"})
print(outcome.facts.images_per_s, outcome.report_uri)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from inference_core.export.export_run import Exported
from jobs.cli import show_state
from jobs.config import JobConfig
from jobs.driver import ShowState
from jobs.driver import run as run_settings
from jobs.export_answers import export
from jobs.finalize import Outcome
from jobs.found_state import RunState
from jobs.progress import RunProgress
from jobs.results import CommittedRows, iterate_results, read_results
from jobs.settings import read_settings
from jobs.state_of_run import RunStatus, read_status

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


def run(config: JobConfig | Mapping[str, Any] | str | Path, *, show: ShowState | None = None) -> Outcome:
    """Run a job, or resume it: the same call again goes on where the last one stopped.

    Args:
        config: settings, the same as a mapping, or the path of a YAML file; see docs/job-config.md.
        show: what shows the progress; by default a bar on a terminal and a line now and then elsewhere, both on
            standard error.

    Returns:
        The finished run. Images without an answer raise nothing: ``outcome.failed_frac`` is their share.

    Raises:
        ConfigError: a setting, the package, the input or the output is wrong; no worker has started.
        ModelError: the model does not load or does not work; likewise.
        JobError: the run stopped; what is committed stays. Where Ray does not let go of this process within a minute of
            a stop for want of progress, the process ends, with the reason on standard error.
    """
    return run_settings(settings_of(config), show=show or show_on_stderr)


def settings_of(config: JobConfig | Mapping[str, Any] | str | Path) -> JobConfig:
    """Checked and normalised settings."""
    if isinstance(config, str | Path):
        return read_settings(str(config), flags={}, assignments=[])
    data = config.model_dump(mode="json") if isinstance(config, JobConfig) else dict(config)
    return read_settings(None, flags=data, assignments=[])


def show_on_stderr(state: RunState) -> RunProgress:
    """The progress that the command shows."""
    return show_state(state, console=Console(stderr=True, soft_wrap=True), log_format="text")
