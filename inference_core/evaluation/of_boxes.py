"""How right a detection is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.findings import Findings, figures_with, real
from inference_core.evaluation.metrics.boxes import (
    IOU_50,
    BoxSet,
    ClassMatches,
    class_precisions,
    match_boxes,
    mean_precisions,
)
from inference_core.evaluation.metrics.confusion import share
from inference_core.evaluation.metrics.intervals import Weights, bootstrap

RESAMPLES = 200


def evaluate_boxes(
    truth: Sequence[BoxSet],
    found: Sequence[BoxSet],
    labels: Sequence[str],
    *,
    image_hw: Sequence[tuple[int, int]],
    seed: int = 0,
) -> tuple[Findings, list[ClassMatches]]:
    """COCO's average precision, precision and recall of the answers as they are, and figures by class.

    Args:
        truth: of N images that have an answer and labels.
        found: their answers.
        labels: names of the K classes.
        image_hw: their sizes.
        seed: of the bootstrap.

    Returns:
        The figures, and what was matched, of each class.

    Raises:
        ConfigError: pycocotools is not installed.
    """
    matches = match_boxes(truth, found, num_classes=len(labels), image_hw=image_hw)
    precisions = np.stack([class_precisions(one) for one in matches])  # (K, T)
    values = mean_precisions(precisions) | counted_figures(matches, np.ones(len(truth), np.int64))

    def resampled(weights: Weights) -> dict[str, float]:
        drawn = np.stack([class_precisions(one, weights=weights) for one in matches])
        return mean_precisions(drawn) | counted_figures(matches, weights)

    intervals = bootstrap(resampled, num_images=len(truth), seed=seed, resamples=RESAMPLES)
    return (
        Findings(
            figures=figures_with(values, intervals),
            per_class=tuple(
                {
                    "class_id": k,
                    "label": label,
                    "num_true": int(one.num_true.sum()),
                    "num_found": len(one.scores),
                    "num_right": int(one.is_right[IOU_50].sum()),
                    "precision": share(int(one.is_right[IOU_50].sum()), int((~one.is_ignored[IOU_50]).sum())),
                    "recall": share(int(one.is_right[IOU_50].sum()), int(one.num_true.sum())),
                    "AP": real(float(np.mean(precisions[k]))),
                    "AP50": real(float(precisions[k, IOU_50])),
                }
                for k, (label, one) in enumerate(zip(labels, matches, strict=True))
            ),
            notes=(
                "AP is of the boxes over the package's output.threshold; a low one such as 0.001 is usual where AP is "
                "compared, precision and recall are of the boxes as they are",
            ),
            image_errors=image_errors(matches, num_images=len(truth)),
            error_name="1 - F1 of the image's boxes at an overlap of 0.5",
        ),
        matches,
    )


def image_errors(matches: Sequence[ClassMatches], *, num_images: int) -> NDArray[np.float64]:
    """(N,) one less F1 of each image's boxes at an overlap of 0.5; 0 where nothing is to be found and nothing was."""
    right, whole = np.zeros(num_images), np.zeros(num_images)
    for one in matches:
        np.add.at(right, one.images, one.is_right[IOU_50])
        np.add.at(whole, one.images, ~one.is_ignored[IOU_50])
        whole += one.num_true
    return 1 - np.where(whole > 0, 2 * right / np.maximum(whole, 1), 1.0)


def counted_figures(matches: Sequence[ClassMatches], weights: Weights) -> dict[str, float]:
    """Precision and recall of all boxes together at an overlap of 0.5."""
    right = sum(float(weights[one.images] @ one.is_right[IOU_50]) for one in matches)
    answered = sum(float(weights[one.images] @ ~one.is_ignored[IOU_50]) for one in matches)
    true = sum(float(weights @ one.num_true) for one in matches)
    return {
        "precision": right / answered if answered else float("nan"),
        "recall": right / true if true else float("nan"),
    }
