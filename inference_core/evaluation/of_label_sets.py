"""How right a multi-label classification is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.findings import Findings, figures_with, real
from inference_core.evaluation.metrics.confusion import figures_of
from inference_core.evaluation.metrics.intervals import Weights, bootstrap
from inference_core.evaluation.metrics.ranking import average_precisions, mean_of_known, rank, rank_classes
from inference_core.evaluation.metrics.reliability import brier_of_labels, nll_of_labels, reliability

RESAMPLES = 200
"""Of a figure for which every class is gone through."""
MAX_CASES = 20_000_000
"""Scores that are ranked again and again; of more no interval is given."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelSetAnswers:
    """Answers to N images beside their labels."""

    is_true: NDArray[np.bool_]
    """(N, K) labels."""
    is_found: NDArray[np.bool_]
    """(N, K) labels that were answered, by the package's thresholds."""
    scores: NDArray[np.float64]
    """(N, K), 0 where it is not known."""
    num_known: int
    """Of K: how many best scores of an image are known at least."""


def evaluate_label_sets(answers: LabelSetAnswers, labels: Sequence[str], *, seed: int = 0) -> Findings:
    """Mean average precision, F1, figures by class, and how right scores are.

    Args:
        answers: of the images that have an answer and labels.
        labels: names of the K classes.
        seed: of the bootstrap.
    """
    is_true, is_found, scores = answers.is_true, answers.is_found, answers.scores
    rankings = rank_classes(scores, is_true)
    precisions = average_precisions(rankings)
    together = rank(scores.ravel(), is_true.ravel())
    sums = image_sums(is_true, is_found)  # (3, N)
    values = {
        "macro mAP": mean_of_known(precisions),
        "micro mAP": together.average_precision(),
        "micro F1": f1_of(*sums.sum(axis=1)),
        "macro F1": macro_f1_of(is_true, is_found),
        "exact match": float((is_true == is_found).all(axis=1).mean()) if len(is_true) else float("nan"),
    }
    notes = []
    bins = None
    if answers.num_known < len(labels):
        notes.append(
            f"mAP is of scores that are 0 for classes which rows do not keep (they keep {answers.num_known} of "
            f"{len(labels)}): set output.top_k, or let --fit or --infer answer the labelled images again"
        )
    else:
        bins = reliability(scores.ravel(), is_true.ravel())
        values |= {
            "ECE": bins.ece,
            "MCE": bins.mce,
            "Brier": float(brier_of_labels(scores, is_true).mean()) if scores.size else float("nan"),
            "NLL": float(nll_of_labels(scores, is_true).mean()) if scores.size else float("nan"),
        }

    def resampled(weights: Weights) -> dict[str, float]:
        own = {"micro F1": f1_of(*(sums @ weights)), "macro F1": macro_f1_of(is_true, is_found, weights=weights)}
        own["exact match"] = float(weights @ (is_true == is_found).all(axis=1) / weights.sum())
        if scores.size <= MAX_CASES:
            own["macro mAP"] = mean_of_known(average_precisions(rankings, weights=weights))
            own["micro mAP"] = together.average_precision(np.repeat(weights, len(labels)))
        return own

    intervals = bootstrap(resampled, num_images=len(is_true), seed=seed, resamples=RESAMPLES)
    return Findings(
        figures=figures_with(values, intervals),
        per_class=tuple(
            {
                **asdict(
                    figures_of(
                        k,
                        label,
                        num_true=int(is_true[:, k].sum()),
                        num_found=int(is_found[:, k].sum()),
                        num_right=int((is_true[:, k] & is_found[:, k]).sum()),
                    )
                ),
                "average_precision": real(precisions[k]),
            }
            for k, label in enumerate(labels)
        ),
        reliability=bins,
        notes=tuple(notes),
        image_errors=1 - np.array([f1_of(*own) if own.any() else 1.0 for own in sums.T]),
        error_name="1 - F1 of the image's labels",
    )


def image_sums(is_true: NDArray[np.bool_], is_found: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(3, N) labels of each image that are right, true, and answered."""
    return np.stack([part.sum(axis=1) for part in (is_true & is_found, is_true, is_found)]).astype(np.int64)


def f1_of(num_right: float, num_true: float, num_found: float) -> float:
    """F1; nan where there is nothing to find and nothing was found."""
    return float(2 * num_right / (num_true + num_found)) if num_true + num_found else float("nan")


def macro_f1_of(
    is_true: NDArray[np.bool_], is_found: NDArray[np.bool_], *, weights: NDArray[np.int64] | None = None
) -> float:
    """The mean of F1 over the classes that occur or were answered."""
    counted = np.ones(len(is_true), np.int64) if weights is None else weights
    right, whole = counted @ (is_true & is_found), counted @ is_true + counted @ is_found
    present = whole > 0
    return float(np.mean(2 * right[present] / whole[present])) if present.any() else float("nan")
