from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.items import Prediction
from inference_core.optimise.accuracy import score_classes, score_labels, score_masks
from inference_core.records import SourceFacts
from inference_core.results import Classification, MultiLabel, Segmentation


def prediction(image_id: str, result: Any) -> Prediction:
    return Prediction(
        source=SourceFacts(image_id=image_id), status="ok" if result else "infer_error", error="x", result=result
    )


def best(image_id: str, *class_ids: int) -> Prediction:
    count = len(class_ids)
    return prediction(
        image_id,
        Classification(
            class_ids=np.int32(class_ids), scores=np.zeros(count, np.float32), labels=("a",) * count, entropy=0.0
        ),
    )


def labels(image_id: str, *class_ids: int) -> Prediction:
    count = len(class_ids)
    one, scores = np.int32(class_ids), np.zeros(count, np.float32)
    return prediction(
        image_id,
        MultiLabel(
            class_ids=one, scores=scores, labels=("a",) * count, top_class_ids=one, top_scores=scores,
            top_labels=("a",) * count,
        ),
    )  # fmt: skip


def mask(image_id: str, rows: Any) -> Prediction:
    pixels = np.uint8(rows)
    return prediction(
        image_id,
        Segmentation(
            mask=pixels, scores=pixels, class_pixels=np.zeros(3, np.int64), class_scores=np.zeros(3, np.float32),
            labels=("a", "b", "c"),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("predictions", "truth", "top_1", "top_5"),
    [
        pytest.param([], {}, 0.0, 0.0, id="none"),
        pytest.param([best("a", 1, 2)], {"a": 1}, 1.0, 1.0, id="right"),
        pytest.param([best("a", 1, 2)], {"a": 2}, 0.0, 1.0, id="second"),
        pytest.param([best("a", 1, 2, 3, 4, 5, 6)], {"a": 6}, 0.0, 0.0, id="sixth"),
        pytest.param([best("a", 1), best("b", 1)], {"a": 1}, 1.0, 1.0, id="without-label"),
        pytest.param([best("a", 1), prediction("b", None)], {"a": 1, "b": 1}, 0.5, 0.5, id="failed-is-wrong"),
    ],
)
def test_classes(predictions: Any, truth: Any, top_1: float, top_5: float) -> None:
    assert score_classes(predictions, truth) == {"top-1": top_1, "top-5": top_5}


BOTH = {"a": frozenset({1}), "b": frozenset({3})}


@pytest.mark.parametrize(
    ("predictions", "truth", "expected"),
    [
        pytest.param([], {}, 1.0, id="none"),
        pytest.param([labels("a")], {"a": frozenset()}, 1.0, id="rightly-empty"),
        pytest.param([labels("a")], {"a": frozenset({1})}, 0.0, id="missed"),
        pytest.param([labels("a", 1, 2), labels("b", 3)], BOTH, 0.8, id="one-more"),
        pytest.param([labels("a", 1), prediction("b", None)], BOTH, 2 / 3, id="failed"),
    ],
)  # fmt: skip
def test_labels(predictions: Any, truth: Any, expected: float) -> None:
    assert score_labels(predictions, truth)["F1"] == pytest.approx(expected)


def test_labels_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    random = np.random.default_rng(1)
    found, wanted = random.random((20, 6)) < 0.4, random.random((20, 6)) < 0.4
    predictions = [labels(str(index), *np.flatnonzero(row)) for index, row in enumerate(found)]
    truth = {str(index): frozenset(np.flatnonzero(row).tolist()) for index, row in enumerate(wanted)}
    assert score_labels(predictions, truth)["F1"] == pytest.approx(metrics.f1_score(wanted, found, average="micro"))


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        pytest.param([[0, 1]], [[0, 1]], 1.0, id="right"),
        pytest.param([[0, 1, 1, 1]], [[0, 0, 1, 1]], (1 / 2 + 2 / 3) / 2, id="one-pixel-off"),
        pytest.param([[0, 1]], [[0, 255]], 1.0, id="ignored"),
        pytest.param([[2, 2]], [[0, 0]], 0.0, id="other-class"),
    ],
)
def test_masks(found: Any, truth: Any, expected: float) -> None:
    scores = score_masks([mask("a", found), mask("b", [[0]])], {"a": np.int32(truth)}.get, num_classes=3)
    assert scores["mIoU"] == pytest.approx(expected)


def test_a_failed_mask_shares_nothing() -> None:
    assert score_masks([prediction("a", None)], {"a": np.int32([[0, 1]])}.get, num_classes=2)["mIoU"] == 0.0


def test_masks_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    random = np.random.default_rng(2)
    found, wanted = random.integers(0, 3, (5, 4, 6)), random.integers(0, 3, (5, 4, 6))
    predictions = [mask(str(index), rows) for index, rows in enumerate(found)]
    truth = {str(index): rows for index, rows in enumerate(wanted)}
    expected = metrics.jaccard_score(wanted.ravel(), found.ravel(), average="macro")
    assert score_masks(predictions, truth.get, num_classes=3)["mIoU"] == pytest.approx(expected)
