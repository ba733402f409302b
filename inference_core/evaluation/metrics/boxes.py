"""COCO's average precision of boxes: matched by pycocotools, summed here, so that images can be drawn repeatedly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ConfigError

IOU_THRESHOLDS = np.round(np.arange(0.5, 1.0, 0.05), 2)
"""T of them, as COCO averages over."""
MAX_BOXES = 100
"""Of an image; worse ones do not count, as with COCO."""
RECALLS = np.linspace(0, 1, 101)
"""At which COCO reads precision."""
IOU_50, IOU_75 = 0, 5
"""Places in IOU_THRESHOLDS."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxSet:
    """The boxes of one image, labelled or answered."""

    boxes_xyxy: NDArray[np.float64]
    """(n, 4) in pixels."""
    class_ids: NDArray[np.int64]
    """(n,)"""
    scores: NDArray[np.float64]
    """(n,) in [0, 1]; 1 of labels."""
    is_crowd: NDArray[np.bool_]
    """(n,) labels of many objects together: what lies in them is neither right nor wrong."""

    def __post_init__(self) -> None:
        sizes = {len(self.boxes_xyxy), len(self.class_ids), len(self.scores), len(self.is_crowd)}
        assert len(sizes) == 1, f"a box has a class, a score and whether it is a crowd, got {sizes}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassMatches:
    """The answers with one class, best first, and which of them are right."""

    scores: NDArray[np.float64]
    """(n,) falling."""
    images: NDArray[np.int64]
    """(n,) position of the image."""
    is_right: NDArray[np.bool_]
    """(T, n) whether a labelled box of the class overlaps enough and has no better answer."""
    is_ignored: NDArray[np.bool_]
    """(T, n) neither right nor wrong, as in a crowd."""
    num_true: NDArray[np.int64]
    """(N,) labelled boxes of the class in each image, crowds left out."""


def match_boxes(
    truth: Sequence[BoxSet], found: Sequence[BoxSet], *, num_classes: int, image_hw: Sequence[tuple[int, int]]
) -> list[ClassMatches]:
    """Match the answers of N images with their labels, class by class, as COCO does.

    Args:
        truth: N labelled images.
        found: their answers.
        num_classes: K.
        image_hw: their sizes.

    Raises:
        ConfigError: pycocotools is not installed.
    """
    evaluated = run_cocoeval(truth, found, num_classes=num_classes, image_hw=image_hw)
    by_class = [evaluated[k * len(truth) : (k + 1) * len(truth)] for k in range(num_classes)]
    return [join_images(images) for images in by_class]


def run_cocoeval(
    truth: Sequence[BoxSet], found: Sequence[BoxSet], *, num_classes: int, image_hw: Sequence[tuple[int, int]]
) -> list[Any]:
    """What pycocotools matched: for each class, for each image, its record, None where the class is nowhere in it."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as exc:
        raise ConfigError(
            "pycocotools must be installed to evaluate detection: pip install 'millrace[evaluate]'"
        ) from exc
    with redirect_stdout(StringIO()):
        coco = COCO()
        coco.dataset = dataset_of(truth, num_classes=num_classes, image_hw=image_hw)
        coco.createIndex()
        answers = COCO()
        answers.dataset = dataset_of(found, num_classes=num_classes, image_hw=image_hw)
        answers.createIndex()
        evaluation = COCOeval(coco, answers, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [MAX_BOXES]
        evaluation.evaluate()
    records: list[Any] = evaluation.evalImgs
    return records


def dataset_of(
    images: Sequence[BoxSet], *, num_classes: int, image_hw: Sequence[tuple[int, int]]
) -> dict[str, list[dict[str, Any]]]:
    """Boxes as the JSON that pycocotools reads."""
    annotations: list[dict[str, Any]] = []
    for image_id, boxes in enumerate(images):
        for (x_min, y_min, x_max, y_max), class_id, score, crowd in zip(
            boxes.boxes_xyxy.tolist(),
            boxes.class_ids.tolist(),
            boxes.scores.tolist(),
            boxes.is_crowd.tolist(),
            strict=True,
        ):
            width, height = x_max - x_min, y_max - y_min
            key = {"id": len(annotations) + 1, "image_id": image_id, "category_id": class_id, "score": score}
            place = {"bbox": [x_min, y_min, width, height], "area": width * height, "iscrowd": int(crowd)}
            annotations.append({**key, **place})
    return {
        "info": {},  # type: ignore[dict-item]  # pycocotools reads it as a mapping
        "images": [{"id": index, "height": h, "width": w} for index, (h, w) in enumerate(image_hw)],
        "categories": [{"id": index, "name": str(index)} for index in range(num_classes)],
        "annotations": annotations,
    }


def join_images(records: Sequence[Mapping[str, Any] | None]) -> ClassMatches:
    """The matches of one class over all images, best first; equal scores keep the order of images, as with COCO."""
    num_true = np.array([0 if one is None else int(np.sum(1 - one["gtIgnore"])) for one in records], np.int64)
    kept = [(index, one) for index, one in enumerate(records) if one is not None]
    empty = np.zeros((len(IOU_THRESHOLDS), 0))
    scores = np.concatenate([np.empty(0), *(np.asarray(one["dtScores"], np.float64) for _, one in kept)])
    images = np.concatenate(
        [np.empty(0, np.int64), *(np.full(len(one["dtScores"]), index, np.int64) for index, one in kept)]
    )
    matches = np.concatenate([empty, *(np.reshape(one["dtMatches"], (len(empty), -1)) for _, one in kept)], axis=1)
    ignored = np.concatenate([empty, *(np.reshape(one["dtIgnore"], (len(empty), -1)) for _, one in kept)], axis=1) > 0
    order = np.argsort(-scores, kind="mergesort")
    return ClassMatches(
        scores=scores[order],
        images=images[order],
        is_right=(matches > 0)[:, order] & ~ignored[:, order],
        is_ignored=ignored[:, order],
        num_true=num_true,
    )


def class_precisions(matches: ClassMatches, *, weights: NDArray[np.number] | None = None) -> NDArray[np.float64]:
    """(T,) average precision of one class at each overlap; nan where nothing is labelled with it.

    Args:
        matches: of the class.
        weights: (N,) how often each image counts; None for once.

    Source: cocodataset/cocoapi, ``pycocotools/cocoeval.py``, ``accumulate``.
    """
    counted = np.ones(len(matches.num_true)) if weights is None else weights.astype(np.float64)
    num_true = float(counted @ matches.num_true)
    if num_true == 0:
        return np.full(len(IOU_THRESHOLDS), np.nan)
    drawn = counted[matches.images] if len(matches.images) else np.empty(0)
    right = np.cumsum(drawn * matches.is_right, axis=1)  # (T, n)
    wrong = np.cumsum(drawn * ~(matches.is_right | matches.is_ignored), axis=1)
    return np.array([interpolated_precision(*pair, num_true=num_true) for pair in zip(right, wrong, strict=True)])


def interpolated_precision(right: NDArray[np.float64], wrong: NDArray[np.float64], *, num_true: float) -> float:
    """The mean, over 101 recalls, of the best precision that is had at that recall or a higher one."""
    if not len(right):
        return 0.0
    precision = right / np.maximum(right + wrong, np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(right / num_true, RECALLS, side="left")
    return float(np.append(precision, 0.0)[places].mean())


def mean_precisions(precisions: NDArray[np.float64]) -> dict[str, float]:
    """COCO's figures of (K, T) average precisions: classes that are nowhere labelled do not count."""
    known = precisions[~np.isnan(precisions[:, 0])]
    if not len(known):
        return dict.fromkeys(("AP", "AP50", "AP75"), float("nan"))
    return {
        "AP": float(known.mean()),
        "AP50": float(known[:, IOU_50].mean()),
        "AP75": float(known[:, IOU_75].mean()),
    }
