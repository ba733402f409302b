"""Which class was taken for which, and what follows for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """How one class fared; a figure is None where nothing was divided."""

    class_id: int
    label: str
    num_true: int
    """Labelled with the class."""
    num_found: int
    """Answered with it."""
    num_right: int
    precision: float | None
    recall: float | None
    f1: float | None
    """None where the class neither occurs nor was answered."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Confusion:
    """Which class was answered for which, of those pairs that occur: of many classes few are confused."""

    true: Counts
    """(n,) class id of each pair that occurs."""
    found: Counts
    """(n,)"""
    counts: Counts
    """(n,) how often."""
    num_classes: int

    @property
    def num_true(self) -> Counts:
        """(K,) labelled with each class."""
        return self._sum(self.true)

    @property
    def num_found(self) -> Counts:
        """(K,) answered with each class."""
        return self._sum(self.found)

    @property
    def num_right(self) -> Counts:
        """(K,) both."""
        return self._sum(np.where(self.true == self.found, self.true, self.num_classes))[: self.num_classes]

    def _sum(self, class_ids: Counts) -> Counts:
        sums = np.zeros(self.num_classes + 1, np.int64)
        np.add.at(sums, class_ids, self.counts)
        return sums[: self.num_classes]

    def matrix(self) -> Counts:
        """(K, K), a row for each true class."""
        whole = np.zeros((self.num_classes, self.num_classes), np.int64)
        whole[self.true, self.found] = self.counts
        return whole


def count_pairs(
    truth: NDArray[np.integer],
    found: NDArray[np.integer],
    *,
    num_classes: int,
    weights: NDArray[np.int64] | None = None,
) -> Confusion:
    """How often each class was answered for each.

    Args:
        truth: (N,) class ids in [0, num_classes).
        found: (N,) class ids in [0, num_classes).
        num_classes: K.
        weights: (N,) how often each counts; None for once.
    """
    joint = truth.astype(np.int64) * num_classes + found
    pairs, places = np.unique(joint, return_inverse=True)
    counts = np.bincount(places, weights=weights, minlength=len(pairs)).astype(np.int64)
    return Confusion(true=pairs // num_classes, found=pairs % num_classes, counts=counts, num_classes=num_classes)


def class_figures(confusion: Confusion, labels: Sequence[str]) -> list[ClassFigures]:
    """What a confusion says of each class; ``labels`` are K names."""
    counts = zip(confusion.num_true, confusion.num_found, confusion.num_right, strict=True)
    return [
        figures_of(class_id, label, num_true=int(true), num_found=int(found), num_right=int(hits))
        for class_id, (label, (true, found, hits)) in enumerate(zip(labels, counts, strict=True))
    ]


def figures_of(class_id: int, label: str, *, num_true: int, num_found: int, num_right: int) -> ClassFigures:
    """The figures of one class from its counts."""
    return ClassFigures(
        class_id=class_id,
        label=label,
        num_true=num_true,
        num_found=num_found,
        num_right=num_right,
        precision=share(num_right, num_found),
        recall=share(num_right, num_true),
        f1=share(2 * num_right, num_true + num_found),
    )


def share(part: float, whole: float) -> float | None:
    """``part / whole``, None of nothing."""
    return part / whole if whole else None


def macro_f1(confusion: Confusion) -> float:
    """The mean of F1 over the classes that occur or were answered; nan of nothing."""
    whole = confusion.num_true + confusion.num_found
    present = whole > 0
    return float(np.mean(2 * confusion.num_right[present] / whole[present])) if present.any() else float("nan")


def balanced_accuracy(confusion: Confusion) -> float:
    """The mean of recall over the classes that occur; nan of nothing."""
    num_true = confusion.num_true
    present = num_true > 0
    return float(np.mean(confusion.num_right[present] / num_true[present])) if present.any() else float("nan")


def most_confused(confusion: Confusion, *, count: int) -> list[tuple[int, int, int]]:
    """True class, answered class and number of the commonest mistakes, commonest first, then by class ids."""
    triples = zip(confusion.true.tolist(), confusion.found.tolist(), confusion.counts.tolist(), strict=True)
    wrong = [triple for triple in triples if triple[0] != triple[1] and triple[2]]
    return sorted(wrong, key=lambda triple: (-triple[2], triple[0], triple[1]))[:count]
