"""How right a classification is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from inference_core.evaluation.findings import Figure, Findings, figures_with, real
from inference_core.evaluation.metrics.confusion import balanced_accuracy, class_figures, count_pairs, macro_f1
from inference_core.evaluation.metrics.intervals import Weights, bootstrap, wilson
from inference_core.evaluation.metrics.reliability import brier_of_classes, nll_of_classes, reliability

TOP_K = 5
LEAST_MOVED = 10
"""Answers that are right with other class ids, from which on that is no chance."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassAnswers:
    """Answers to N images beside their labels."""

    truth: NDArray[np.int64]
    """(N,) class ids."""
    class_ids: NDArray[np.int64]
    """(N, k) best first."""
    scores: NDArray[np.float64]
    """(N, k) of ``class_ids``."""

    def whole_scores(self, num_classes: int) -> NDArray[np.float64] | None:
        """(N, K) scores by class id; None where only the best are known."""
        if self.class_ids.shape[1] < num_classes:
            return None
        whole = np.empty_like(self.scores)
        np.put_along_axis(whole, self.class_ids, self.scores, axis=1)
        return whole


def evaluate_classes(answers: ClassAnswers, labels: Sequence[str], *, seed: int = 0) -> Findings:
    """Accuracy, top-k, figures by class, and how right scores are.

    Args:
        answers: of the images that have an answer and a label.
        labels: names of the K classes.
        seed: of the bootstrap.
    """
    truth, found = answers.truth, answers.class_ids[:, 0]
    confusion = count_pairs(truth, found, num_classes=len(labels))
    bins = reliability(answers.scores[:, 0], found == truth)
    values = {
        "macro F1": macro_f1(confusion),
        "balanced accuracy": balanced_accuracy(confusion),
        "ECE": bins.ece,
        "MCE": bins.mce,
    }
    whole, notes = answers.whole_scores(len(labels)), notes_on_numbering(truth, found, num_classes=len(labels))
    losses: dict[str, NDArray[np.float64]] = {}
    if whole is None:
        notes.append(
            f"Brier and NLL need the scores of all {len(labels)} classes, and rows keep the best "
            f"{answers.class_ids.shape[1]}: set output.top_k, or let --fit or --infer answer the labelled images again"
        )
    else:
        losses = {"Brier": brier_of_classes(whole, truth), "NLL": nll_of_classes(whole, truth)}
        values |= {name: float(part.mean()) if len(part) else float("nan") for name, part in losses.items()}

    def resampled(weights: Weights) -> dict[str, float]:
        pairs = count_pairs(truth, found, num_classes=len(labels), weights=weights)
        own = {"macro F1": macro_f1(pairs), "balanced accuracy": balanced_accuracy(pairs)}
        own["ECE"] = reliability(answers.scores[:, 0], found == truth, weights=weights).ece
        return own | {name: float(weights @ part / weights.sum()) for name, part in losses.items()}

    intervals = bootstrap(resampled, num_images=len(truth), seed=seed)
    return Findings(
        figures=(*hit_figures(answers), *figures_with(values, intervals)),
        per_class=tuple(
            {key: real(value) if isinstance(value, float) else value for key, value in asdict(row).items()}
            for row in class_figures(confusion, labels)
        ),
        confusion=confusion,
        reliability=bins,
        notes=tuple(notes),
        image_errors=(found != truth).astype(np.float64),
        error_name="wrong class",
    )


def notes_on_numbering(truth: NDArray[np.int64], found: NDArray[np.int64], *, num_classes: int) -> list[str]:
    """What speaks for it that labels begin to count elsewhere than the package does: at 1, or behind a background.

    Args:
        truth: (N,) class ids as labelled.
        found: (N,) as answered.
        num_classes: K.
    """
    right, notes = int((truth == found).sum()), []
    for step, is_free in ((-1, truth.min(initial=1) > 0), (1, truth.max(initial=0) < num_classes - 1)):
        moved = int((truth + step == found).sum())
        if is_free and num_classes > 2 and moved >= LEAST_MOVED and moved > 2 * right:
            side = "less" if step < 0 else "more"
            notes.append(
                f"class ids of the labels may count from another number than the package: of {len(truth):,} answers "
                f"{right:,} are right, and {moved:,} would be if each label were one {side}; label by names, or give "
                "--class-map"
            )
    return notes


def hit_figures(answers: ClassAnswers) -> tuple[Figure, ...]:
    """Shares of images whose class is the best answer, and among the best few."""
    count = len(answers.truth)
    ranks = sorted({1, min(TOP_K, answers.class_ids.shape[1])})
    hits = [int((answers.class_ids[:, :rank] == answers.truth[:, None]).any(axis=1).sum()) for rank in ranks]
    return tuple(
        Figure(
            name="accuracy" if rank == 1 else f"top-{rank}",
            value=num / count if count else float("nan"),
            interval=wilson(num, count),
            way="wilson",
        )
        for rank, num in zip(ranks, hits, strict=True)
    )
