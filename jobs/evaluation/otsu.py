"""Thresholds where there are no labels: where the scores of a run divide into groups by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from inference_core.errors import ConfigError, JobError
from inference_core.evaluation.fitting.multi_otsu import multi_otsu
from inference_core.export.committed_rows import iterate_results
from inference_core.models.package import ModelPackage
from inference_core.stats.rows import TASK_COLUMNS, reals_of
from jobs.evaluation.infer_again import infer_again, load_run_package
from jobs.evaluation.segmentation import segmentation_of
from jobs.plan import Plan
from jobs.stage_progress import Stages, silent_stages

NUM_BINS = 256
MAX_IMAGES = 64
"""Whose pixels are looked at, spread evenly over the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtsuResult:
    """Groups of scores."""

    of: str
    """Whose scores: ``pixels`` or ``images``."""
    num_values: int
    num_images: int
    thresholds: tuple[float, ...]
    """Between the groups, rising."""
    fracs: tuple[float, ...]
    """Share of the values in each group, lowest first."""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "of": self.of,
            "num_values": self.num_values,
            "num_images": self.num_images,
            "thresholds": list(self.thresholds),
            "fracs": list(self.fracs),
        }


def find_groups(
    output: str,
    plan: Plan,
    *,
    num_groups: int,
    model: str | None,
    trusts_code: bool,
    stages: Stages = silent_stages,
) -> OtsuResult:
    """Divide the scores of a run.

    Those of the pixels of some images with two-class segmentation, which are inferred again since rows do not keep
    them; else those of all images.

    Args:
        output: the run's folder or prefix.
        plan: the run's.
        num_groups: 2 or more.
        model: where the run's package is now.
        trusts_code: whether Python files in it may be run.
        stages: show how far it is where images are answered again.

    Raises:
        ConfigError: the task has no scores, or they have fewer values than groups.
        JobError: the run has no answer.
    """
    if "score" not in TASK_COLUMNS[plan.task]:
        raise ConfigError(f"must go with a task that has scores, got {plan.task}; leave it away", key="--otsu")
    if plan.task == "segmentation" and len(plan.classes) == 2:
        package = load_run_package(output, plan, model=model, trusts_code=trusts_code)
        counts, num_images = count_pixels(output, plan, package, stages=stages)
        of = "pixels"
    else:
        counts, num_images = count_images(output)
        of = "images"
    if not num_images:
        raise JobError(f"{output} must have answers with a score, got none; see report/errors.csv")
    thresholds = multi_otsu(counts, num_groups=num_groups)
    edges = [0, *(round(threshold * NUM_BINS) for threshold in thresholds), NUM_BINS]
    sizes = [int(counts[low:high].sum()) for low, high in pairwise(edges)]
    total = int(counts.sum())
    return OtsuResult(
        of=of,
        num_values=total,
        num_images=num_images,
        thresholds=tuple(round(threshold, 4) for threshold in thresholds),
        fracs=tuple(size / total for size in sizes),
    )


def count_images(output: str) -> tuple[NDArray[np.int64], int]:
    """(256,) images by score, and how many have one."""
    counts = np.zeros(NUM_BINS, np.int64)
    for found in iterate_results(output, columns=["status", "score"]):
        scores = reals_of(pc.drop_null(found.rows.filter(pc.field("status") == "ok")["score"]))
        counts += np.histogram(scores, bins=NUM_BINS, range=(0, 1))[0]
    return counts, int(counts.sum())


def count_pixels(output: str, plan: Plan, package: ModelPackage, *, stages: Stages) -> tuple[NDArray[np.int64], int]:
    """(256,) pixels by the foreground's score, of images spread over the run, and how many images."""
    names: list[str] = []
    for found in iterate_results(output, columns=["status", "image_id"]):
        names += found.rows.filter(pc.field("status") == "ok")["image_id"].to_pylist()
    count = min(MAX_IMAGES, len(names))
    chosen = {names[index * len(names) // count] for index in range(count)}
    counts = np.zeros(NUM_BINS, np.int64)
    for one in infer_again(output, plan, package, spec=package.spec, image_ids=chosen, stages=stages):
        counts += np.bincount(segmentation_of(one).scores.ravel(), minlength=NUM_BINS)
    return counts, len(chosen)
