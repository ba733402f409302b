from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
import scipy.stats
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from inference_core.evaluation.metrics.boxes import BoxSet, class_precisions, dataset_of, match_boxes, mean_precisions
from inference_core.evaluation.of_boxes import evaluate_boxes

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


def unequal(found: list[BoxSet]) -> list[BoxSet]:
    """The same boxes, no two of which have one score: then those of repeated images cannot come in another order."""
    scores = np.random.default_rng(0).permutation(sum(len(one.scores) for one in found)) / 1000
    parts = np.split(scores, np.cumsum([len(one.scores) for one in found])[:-1])
    return [replace(one, scores=part) for one, part in zip(found, parts, strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_weights_are_repetitions_as_pycocotools_counts_them(seed: int) -> None:
    """What the intervals of AP are made of: each draw of images is evaluated as COCO would."""
    truth, found = images(seed, num_images=6)
    found = unequal(found)
    matches = match_boxes(truth, found, num_classes=3, image_hw=[HW] * 6)
    for weights in np.random.default_rng(seed).multinomial(6, np.full(6, 1 / 6), size=4):
        again = np.repeat(np.arange(6), weights)
        expected, stats = pycocotools_precisions([truth[i] for i in again], [found[i] for i in again])
        precisions = np.stack([class_precisions(one, weights=weights) for one in matches])
        np.testing.assert_allclose(precisions, expected, atol=1e-12)
        assert list(mean_precisions(precisions).values()) == pytest.approx(stats, abs=1e-12)


def test_the_interval_of_ap_is_scipys_over_pycocotools_but_for_chance() -> None:
    """SciPy draws the images, pycocotools evaluates each draw anew."""
    truth, found = images(2, num_images=8)
    found = unequal(found)

    def statistic(drawn: Any) -> float:
        again = drawn.astype(int)
        _, stats = pycocotools_precisions([truth[i] for i in again], [found[i] for i in again])
        return float(stats[1])

    expected = scipy.stats.bootstrap(
        (np.arange(8),), statistic, method="percentile", n_resamples=150, vectorized=False, rng=np.random.default_rng(1)
    )
    findings, _ = evaluate_boxes(truth, found, ("a", "b", "c"), image_hw=[HW] * 8)
    (figure,) = (one for one in findings.figures if one.name == "AP50")
    assert figure.interval is not None
    ends = expected.confidence_interval
    # An end is a quantile of 150 draws: off by some 0.2 standard errors (sqrt(0.025 * 0.975 / 150) / density 0.058).
    tolerance = 3 * 0.22 * float(expected.standard_error)
    assert (figure.interval.low, figure.interval.high) == pytest.approx((ends.low, ends.high), abs=tolerance)


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
