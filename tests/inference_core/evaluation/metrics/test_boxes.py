from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inference_core.evaluation.metrics.boxes import BoxSet, class_precisions, dataset_of, match_boxes, mean_precisions

HW = (100, 120)


def drawn_boxes(random: np.random.Generator, count: int, *, crowds: bool = False) -> BoxSet:
    corners = random.uniform(0, 70, (count, 2))
    sizes = random.uniform(5, 40, (count, 2))
    return BoxSet(
        boxes_xyxy=np.concatenate([corners, corners + sizes], axis=1),
        class_ids=random.integers(0, 3, count),
        scores=np.round(random.random(count), 1),  # coarse, so that some are equal
        is_crowd=random.random(count) < 0.2 if crowds else np.zeros(count, np.bool_),
    )


def shaken(random: np.random.Generator, boxes: BoxSet) -> BoxSet:
    """Answers near the truth, with some missing and some more."""
    kept = random.random(len(boxes.scores)) < 0.8
    more = drawn_boxes(random, 3)
    near = boxes.boxes_xyxy[kept] + random.normal(0, 3, (kept.sum(), 4))
    return BoxSet(
        boxes_xyxy=np.concatenate([near, more.boxes_xyxy]),
        class_ids=np.concatenate([boxes.class_ids[kept], more.class_ids]),
        scores=np.round(random.random(kept.sum() + 3), 1),
        is_crowd=np.zeros(kept.sum() + 3, np.bool_),
    )


def images(seed: int, *, num_images: int = 12) -> tuple[list[BoxSet], list[BoxSet]]:
    random = np.random.default_rng(seed)
    truth = [drawn_boxes(random, int(count), crowds=True) for count in random.integers(0, 8, num_images)]
    return truth, [shaken(random, boxes) for boxes in truth]


def pycocotools_precisions(truth: list[BoxSet], found: list[BoxSet]) -> tuple[Any, Any]:
    sets = []
    with redirect_stdout(StringIO()):
        for boxes in (truth, found):
            coco = COCO()
            coco.dataset = dataset_of(boxes, num_classes=3, image_hw=[HW] * len(truth))
            coco.createIndex()
            sets.append(coco)
        evaluation = COCOeval(*sets, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, -1].mean(axis=1).T  # (K, T)
    return np.where(precision < 0, np.nan, precision), evaluation.stats[:3]


@pytest.mark.parametrize("seed", range(4))
def test_precision_is_pycocotools(seed: int) -> None:
    truth, found = images(seed)
    matches = match_boxes(truth, found, num_classes=3, image_hw=[HW] * len(truth))
    precisions = np.stack([class_precisions(one) for one in matches])
    expected, stats = pycocotools_precisions(truth, found)
    np.testing.assert_allclose(precisions, expected, atol=1e-12)
    figures = mean_precisions(precisions)
    assert [figures[name] for name in ("AP", "AP50", "AP75")] == pytest.approx(stats, abs=1e-12)


def test_weights_are_repetitions() -> None:
    truth, found = images(9, num_images=5)
    weights = np.array([0, 2, 1, 0, 2])
    again = [index for index, count in enumerate(weights) for _ in range(count)]
    once = match_boxes([truth[i] for i in again], [found[i] for i in again], num_classes=3, image_hw=[HW] * len(again))
    weighted = match_boxes(truth, found, num_classes=3, image_hw=[HW] * 5)
    for one, other in zip(once, weighted, strict=True):
        # Equal scores of other images come in another order, which moves precision by a hair.
        np.testing.assert_allclose(class_precisions(one), class_precisions(other, weights=weights), atol=0.03)


def test_images_without_boxes() -> None:
    nothing = drawn_boxes(np.random.default_rng(0), 0)
    matches = match_boxes([nothing], [nothing], num_classes=2, image_hw=[HW])
    figures = mean_precisions(np.stack([class_precisions(one) for one in matches]))
    assert np.isnan(list(figures.values())).all()
    truth = drawn_boxes(np.random.default_rng(0), 4)
    matches = match_boxes([truth], [nothing], num_classes=3, image_hw=[HW])
    assert mean_precisions(np.stack([class_precisions(one) for one in matches]))["AP"] == 0
    matches = match_boxes([truth], [truth], num_classes=3, image_hw=[HW])
    assert mean_precisions(np.stack([class_precisions(one) for one in matches]))["AP"] == pytest.approx(1)
