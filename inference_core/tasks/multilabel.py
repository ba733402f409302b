"""Multi-label classification: every class that reaches its threshold, and the best ones in any case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.records import Placement
from inference_core.results import MultiLabel, Result
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import activate, build_calibration
from inference_core.tasks.classification import TOP_K_TYPE
from inference_core.tasks.outputs import all_finite, check_num_classes, pick_scores
from inference_core.tasks.protocol import RawOutput


class MultiLabelTask:
    """Reads class scores that do not compete; one tile per image.

    Args:
        spec: ``output.threshold`` and ``output.thresholds`` decide; a score that equals its threshold is enough.
    """

    result_fields: tuple[pa.Field, ...] = (
        pa.field("class_ids", pa.list_(pa.int32())),
        pa.field("labels", pa.list_(pa.string())),
        pa.field("scores", pa.list_(pa.float32())),
        pa.field("score", pa.float32()),
        pa.field("top_k", TOP_K_TYPE),
    )

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._top_k = min(spec.output.top_k, len(spec.classes))
        self._calibration = build_calibration(spec)
        own = spec.output.thresholds
        self._thresholds = np.array([own.get(name, spec.output.threshold) for name in spec.classes], np.float32)  # (K,)

    @np.errstate(over="ignore", invalid="ignore")
    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """All classes, best first: ``class_ids`` (B, K) int32, ``scores`` (B, K) and ``finite`` (B,)."""
        logits = pick_scores(outputs, name=self._spec.output.name, model="a multi-label model")
        xp = array_namespace(logits)
        check_num_classes(logits.shape[1], classes=self._spec.classes, shape=tuple(logits.shape))
        scores = activate(logits, calibration=self._calibration)  # (B, K)
        # By logits, which still differ where scores round to 1; stable, so that equal ones come by class id everywhere.
        key = logits if self._calibration.keeps_order else scores
        order = xp.argsort(key, axis=1, descending=True, stable=True)
        return {
            "class_ids": xp.astype(order, xp.int32),
            "scores": xp.take_along_axis(scores, order, axis=1),
            "finite": all_finite(logits),
        }

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """Name the classes of the only tile."""
        class_ids = np.asarray(raw["class_ids"][0], np.int32)
        scores = np.asarray(raw["scores"][0], np.float32)
        is_shown = scores >= self._thresholds[class_ids]
        top = slice(self._top_k)
        return MultiLabel(
            class_ids=class_ids[is_shown],
            scores=scores[is_shown],
            labels=self._names(class_ids[is_shown]),
            top_class_ids=class_ids[top],
            top_scores=scores[top],
            top_labels=self._names(class_ids[top]),
        )

    def to_row(self, result: Result) -> dict[str, Any]:
        """The classes as lists, the best score flat."""
        assert isinstance(result, MultiLabel), "a multi-label task makes multi-label answers"
        top = zip(result.top_class_ids.tolist(), result.top_labels, result.top_scores.tolist(), strict=True)
        return {
            "class_ids": result.class_ids.tolist(),
            "labels": list(result.labels),
            "scores": result.scores.tolist(),
            "score": float(result.top_scores[0]),
            "top_k": [{"class_id": class_id, "label": label, "score": score} for class_id, label, score in top],
        }

    def _names(self, class_ids: Sequence[int] | np.ndarray[Any, Any]) -> tuple[str, ...]:
        return tuple(self._spec.classes[index] for index in class_ids)
