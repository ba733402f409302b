"""The answers to labelled images as arrays, from a run's rows or from predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inference_core.errors import ConfigError
from inference_core.evaluation.metrics.boxes import BoxSet
from inference_core.evaluation.of_classes import ClassAnswers
from inference_core.evaluation.of_label_sets import LabelSetAnswers
from inference_core.export.kept_planes import read_kept_mask
from inference_core.items import Prediction
from inference_core.results import Classification, MultiLabel
from jobs.evaluation.labelled_run import LabelledRun

CORNERS = ("x_min", "y_min", "x_max", "y_max")


def class_answers_of_rows(run: LabelledRun) -> ClassAnswers:
    """The best classes that rows keep."""
    parts = [(rows["image_id"].to_pylist(), *top_of(rows["top_k"])) for rows in run.rows(["top_k"]) if rows.num_rows]
    names = [name for part, _, _ in parts for name in part]
    return ClassAnswers(
        truth=np.array([run.truth[name] for name in names], np.int64),
        class_ids=np.concatenate([ids for _, ids, _ in parts]),
        scores=np.concatenate([scores for _, _, scores in parts]),
    )


def class_scores_of(predictions: Iterable[Prediction], *, num_classes: int) -> tuple[list[str], NDArray[np.float64]]:
    """Image ids and (N, K) scores by class id, of predictions that keep all classes."""
    names, rows = [], []
    for one in predictions:
        if isinstance(one.result, Classification):
            pair = one.result.class_ids, one.result.scores
        elif isinstance(one.result, MultiLabel):
            pair = one.result.top_class_ids, one.result.top_scores
        else:
            continue
        row = np.zeros(num_classes)
        row[pair[0]] = pair[1]
        names.append(one.source.image_id)
        rows.append(row)
    return names, np.stack(rows) if rows else np.empty((0, num_classes))


def label_set_answers_of_rows(run: LabelledRun) -> LabelSetAnswers:
    """The labels that were answered, and the scores that rows keep."""
    num_classes = len(run.plan.classes)
    is_true, is_found, scores, num_known = [], [], [], num_classes
    for rows in run.rows(["class_ids", "top_k"]):
        if not rows.num_rows:
            continue
        ids, values = top_of(rows["top_k"])
        whole = np.zeros((rows.num_rows, num_classes))
        np.put_along_axis(whole, ids, values, axis=1)
        num_known = ids.shape[1]
        scores.append(whole)
        is_found.append(flags_of(rows["class_ids"].to_pylist(), num_classes=num_classes))
        is_true.append(flags_of([run.truth[name] for name in rows["image_id"].to_pylist()], num_classes=num_classes))
    return LabelSetAnswers(
        is_true=np.concatenate(is_true),
        is_found=np.concatenate(is_found),
        scores=np.concatenate(scores),
        num_known=num_known,
    )


def box_answers_of_rows(run: LabelledRun) -> tuple[list[str], list[BoxSet], list[BoxSet], list[tuple[int, int]]]:
    """Image ids, labelled boxes, answered boxes and sizes of images."""
    names, truth, found, sizes = [], [], [], []
    for rows in run.rows(["height", "width", "objects"]):
        for name, height, width, objects in zip(
            *(rows[column].to_pylist() for column in ("image_id", "height", "width", "objects")), strict=True
        ):
            names.append(name)
            sizes.append((height, width))
            truth.append(run.truth[name].in_image((height, width)))
            found.append(boxes_of_objects(objects))
    return names, truth, found, sizes


def boxes_of_objects(objects: Sequence[dict[str, Any]]) -> BoxSet:
    """The boxes of one row."""
    return BoxSet(
        boxes_xyxy=np.array([[one[name] for name in CORNERS] for one in objects], np.float64).reshape(-1, 4),
        class_ids=np.array([one["class_id"] for one in objects], np.int64),
        scores=np.array([one["score"] for one in objects], np.float64),
        is_crowd=np.zeros(len(objects), np.bool_),
    )


def masks_of_rows(run: LabelledRun) -> Iterator[tuple[str, NDArray[np.integer]]]:
    """Image id and mask of each labelled image, one at a time.

    Raises:
        ConfigError: the run wrote no masks.
    """
    column = "mask_rle" if run.plan.kept_planes.has_runs else "mask_path"
    for rows in run.rows(["height", "width", column]):
        for row in rows.to_pylist():
            mask = read_kept_mask(run.output, row)
            if mask is None:
                raise ConfigError(
                    f"must hold masks to be evaluated, got none for {row['image_id']} (results.masks: none); give "
                    "--infer, which answers the labelled images again",
                    key="output",
                )
            yield row["image_id"], mask


def top_of(column: Any) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n, k) class ids and scores of a ``top_k`` column, whose lists have one length."""
    entries = pc.list_flatten(column)
    ids, scores = (pc.struct_field(entries, name) for name in ("class_id", "score"))
    shape = (len(column), -1)
    return (
        np.asarray(ids.cast(pa.int64()), np.int64).reshape(shape),
        np.asarray(scores.cast(pa.float64()), np.float64).reshape(shape),
    )


def flags_of(label_sets: Sequence[Iterable[int]], *, num_classes: int) -> NDArray[np.bool_]:
    """(n, K) bool of sets of class ids."""
    flags = np.zeros((len(label_sets), num_classes), np.bool_)
    for row, class_ids in zip(flags, label_sets, strict=True):
        row[list(class_ids)] = True
    return flags
