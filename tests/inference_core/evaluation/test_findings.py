"""The figures of whole evaluations, against scikit-learn on the same arrays."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sklearn.metrics

from inference_core.errors import ConfigError
from inference_core.evaluation.findings import confusion_rows, reliability_rows
from inference_core.evaluation.of_boxes import evaluate_boxes
from inference_core.evaluation.of_classes import ClassAnswers, evaluate_classes, notes_on_numbering
from inference_core.evaluation.of_label_sets import LabelSetAnswers, evaluate_label_sets
from inference_core.evaluation.of_masks import MaskFold

LABELS = ["red", "green", "blue"]


def class_answers(num_images: int, *, top_k: int = 3) -> tuple[ClassAnswers, Any]:
    random = np.random.default_rng(num_images)
    scores = random.dirichlet(np.ones(3), num_images)
    order = np.argsort(-scores, axis=1)[:, :top_k]
    truth = random.integers(0, 3, num_images)
    return ClassAnswers(truth=truth, class_ids=order, scores=np.take_along_axis(scores, order, axis=1)), scores


def test_figures_of_classes() -> None:
    answers, scores = class_answers(120)
    found = evaluate_classes(answers, LABELS)
    assert found["accuracy"] == sklearn.metrics.accuracy_score(answers.truth, scores.argmax(axis=1))
    assert found["NLL"] == pytest.approx(sklearn.metrics.log_loss(answers.truth, scores, labels=range(3)))
    assert found["top-3"] == 1
    assert {figure.way for figure in found.figures[:2]} == {"wilson"}
    for figure in found.figures:
        if figure.name != "MCE":
            assert figure.interval is not None
            assert figure.interval.low <= figure.value <= figure.interval.high or figure.name == "ECE"
    assert found.confusion is not None
    assert sum(row["count"] for row in confusion_rows(found.confusion, LABELS)) == 120
    assert found.reliability is not None
    assert sum(row["count"] for row in reliability_rows(found.reliability)) == 120
    assert evaluate_classes(answers, LABELS).figures == found.figures
    assert evaluate_classes(answers, LABELS, seed=1).figures != found.figures


def test_of_the_best_classes_alone_losses_are_not_known() -> None:
    answers, _ = class_answers(50, top_k=2)
    found = evaluate_classes(answers, LABELS)
    assert "NLL" not in [figure.name for figure in found.figures]
    assert "rows keep the best 2" in found.notes[0]
    assert found["top-2"] >= found["accuracy"]


def label_answers(num_images: int, *, num_known: int = 3) -> LabelSetAnswers:
    random = np.random.default_rng(num_images)
    scores = random.random((num_images, 3))
    is_true = random.random((num_images, 3)) < scores
    return LabelSetAnswers(is_true=is_true, is_found=scores >= 0.5, scores=scores, num_known=num_known)


def test_figures_of_label_sets() -> None:
    answers = label_answers(60)
    found = evaluate_label_sets(answers, LABELS)
    for name, average in (("macro mAP", "macro"), ("micro mAP", "micro")):
        expected = sklearn.metrics.average_precision_score(answers.is_true, answers.scores, average=average)
        assert found[name] == pytest.approx(expected)
    for name, average in (("macro F1", "macro"), ("micro F1", "micro")):
        expected = sklearn.metrics.f1_score(answers.is_true, answers.is_found, average=average)
        assert found[name] == pytest.approx(expected)
    expected = sklearn.metrics.accuracy_score(answers.is_true, answers.is_found)
    assert found["exact match"] == pytest.approx(expected)
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(answers.is_true, answers.is_found)
    for row, values in zip(found.per_class, zip(precision, recall, f1, strict=True), strict=True):
        assert (row["precision"], row["recall"], row["f1"]) == pytest.approx(values)
    partial = evaluate_label_sets(label_answers(60, num_known=2), LABELS)
    assert "they keep 2 of 3" in partial.notes[0]
    assert partial.reliability is None


def test_figures_of_masks() -> None:
    random = np.random.default_rng(0)
    fold, truths, founds = MaskFold(3), [], []
    for index in range(4):
        truth = random.integers(0, 3, (12, 10))
        found = np.where(random.random((12, 10)) < 0.7, truth, random.integers(0, 3, (12, 10)))
        truth[0, 0] = 255
        fold.add(truth, found, image_id=str(index))
        truths.append(truth.ravel()[1:])
        founds.append(found.ravel()[1:])
    found = fold.findings(LABELS)
    truth_all, found_all = np.concatenate(truths), np.concatenate(founds)
    assert found["mIoU"] == pytest.approx(sklearn.metrics.jaccard_score(truth_all, found_all, average="macro"))
    assert found["mean Dice"] == pytest.approx(sklearn.metrics.f1_score(truth_all, found_all, average="macro"))
    assert found["pixel accuracy"] == pytest.approx(np.mean(truth_all == found_all))
    assert sum(row["true_px"] for row in found.per_class) == len(truth_all)
    for figure in found.figures:
        assert figure.interval is not None
        assert figure.interval.low <= figure.value <= figure.interval.high


def test_two_classes_have_the_figures_of_the_foreground() -> None:
    fold = MaskFold(2)
    fold.add(np.array([[0, 1, 1, 0]]), np.array([[0, 1, 0, 0]]), image_id="a")
    fold.add(np.array([[0, 0, 0, 0]]), np.array([[0, 0, 0, 0]]), image_id="b")  # without a vessel it has no Dice
    fold.add(np.array([[1, 1]]), np.array([[1, 1]]), image_id="c")
    found = fold.findings(["background", "vessel"])
    assert found["Dice"] == pytest.approx(2 * 3 / (4 + 3))
    assert found["Dice by image"] == pytest.approx((2 / 3 + 1) / 2)
    with pytest.raises(
        ConfigError, match=r"--labels: must have masks of the images' own size, got \[1, 2\] for d of \[2, 1\]"
    ):
        fold.add(np.zeros((1, 2), int), np.zeros((2, 1), int), image_id="d")


def test_nothing_gives_nan_and_no_intervals() -> None:
    empty = ClassAnswers(truth=np.empty(0, np.int64), class_ids=np.empty((0, 3), np.int64), scores=np.empty((0, 3)))
    assert np.isnan(evaluate_classes(empty, LABELS)["accuracy"])
    assert np.isnan(MaskFold(3).findings(LABELS)["mIoU"])
    findings, _ = evaluate_boxes([], [], LABELS, image_hw=[])
    assert np.isnan(findings["AP"])
    assert all(figure.interval is None for figure in findings.figures)


@pytest.mark.parametrize(
    ("truth", "found", "told"),
    [
        pytest.param(
            [1, 2, 3] * 5, [0, 1, 2] * 5, "of 15 answers 0 are right, and 15 would be if each .* one less", id="1"
        ),
        pytest.param(
            [0, 1, 2] * 5, [1, 2, 3] * 5, "and 15 would be if each label were one more; label by", id="behind"
        ),
        pytest.param([1, 2, 3] * 5, [1, 2, 3] * 5, None, id="right"),
        pytest.param([0, 1, 2, 3] * 5, [0, 0, 1, 2] * 5, None, id="zero occurs"),
        pytest.param([1, 2, 3], [0, 1, 2], None, id="few"),
        pytest.param([1, 2, 3, 1] * 5, [0, 2, 3, 1] * 5, None, id="some"),
    ],
)
def test_class_ids_that_count_from_elsewhere_are_told(truth: list[int], found: list[int], told: str | None) -> None:
    notes = notes_on_numbering(np.array(truth), np.array(found), num_classes=4)
    assert len(notes) == (told is not None)
    if told is not None:
        assert re.search(told, notes[0])


def test_no_image_says_nothing_of_numbers() -> None:
    assert notes_on_numbering(np.empty(0, np.int64), np.empty(0, np.int64), num_classes=4) == []
