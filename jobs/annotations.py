"""A run as its export sees it, and the formats that its settings ask for."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.export.annotation_format import FORMATS, check_format
from inference_core.export.export_run import RECORD_FILE, Exported, export_run
from inference_core.export.export_source import ExportOptions, ExportSource
from inference_core.models.package import ModelPackage
from jobs.config import ResultsConfig
from jobs.plan import Plan
from jobs.stage_progress import Stages, silent_stages

FOLDER = "annotations"
"""Of an output, where its settings ask for them."""


def source_of(output: str, plan: Plan) -> ExportSource:
    """What is exported of a run.

    Args:
        output: the run's folder or prefix, normalised.
        plan: the run's.
    """
    return ExportSource(
        output=output,
        task=plan.task,
        classes=plan.classes,
        model_name=plan.model_name,
        model_digest=str(plan.identity["model_digest"]),
        planes=plan.kept_planes,
    )


def check_annotations(results: ResultsConfig, package: ModelPackage) -> None:
    """Raise ConfigError where a format has no place for the model's answers, or needs masks that are not kept."""
    for name in results.annotations:
        check_format(name, task=package.spec.task, key="results.annotations")
    if results.annotations and package.spec.task == "segmentation" and results.masks == "none":
        raise ConfigError(
            "must go with masks, which annotations are made of, got results.masks: none; keep them as rle, or drop one",
            key="results.annotations",
        )


def write_annotations(
    output: str, plan: Plan, names: Sequence[str], *, num_rows: int, stages: Stages = silent_stages
) -> list[Exported]:
    """Write formats below a run's own output.

    Args:
        output: the run's folder or prefix.
        plan: the run's.
        names: of the formats.
        num_rows: of the run, of which each format tells.
        stages: show how far it is.
    """
    source, options = source_of(output, plan), ExportOptions()
    with stages("annotations", total=num_rows * len(names)) as advance:
        return [
            export_run(source, name, storage.join(output, FOLDER, name), options, advance=advance) for name in names
        ]


def written_formats(output: str) -> set[str]:
    """Formats that stand whole below a run's own output, whoever wrote them."""
    records = {name: storage.join(output, FOLDER, name, RECORD_FILE) for name in FORMATS}
    return {name for name, uri in records.items() if storage.exists(uri)}
