"""Classification: the best classes of each image, with their scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from array_api_compat import array_namespace

from inference_core.engines.protocol import Array
from inference_core.records import Placement
from inference_core.results import Classification, Result
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import activate, build_calibration
from inference_core.tasks.conformal import set_sizes
from inference_core.tasks.outputs import all_finite, check_num_classes, pick_scores
from inference_core.tasks.protocol import RawOutput

TOP_K_TYPE = pa.list_(pa.struct([("class_id", pa.int32()), ("label", pa.string()), ("score", pa.float32())]))

RESULT_FIELDS: tuple[pa.Field, ...] = (
    pa.field("class_id", pa.int32()),
    pa.field("label", pa.string()),
    pa.field("score", pa.float32()),
    pa.field("entropy", pa.float32()),
    pa.field("top_k", TOP_K_TYPE),
)
SET_FIELD = pa.field("prediction_set", pa.list_(pa.int32()))
"""Where the package declares conformal sets."""


class ClassificationTask:
    """Reads class scores; one tile per image.

    Args:
        spec: the model's.
    """

    result_fields = RESULT_FIELDS

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        if spec.conformal is not None:
            self.result_fields = (*RESULT_FIELDS, SET_FIELD)
        self._top_k = min(spec.output.top_k, len(spec.classes))
        self._calibration = build_calibration(spec)

    @np.errstate(over="ignore", invalid="ignore")
    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """Keep the top classes: ``class_ids`` (B, k) int32, ``scores`` (B, k), ``entropy`` and ``finite`` (B,); for
        conformal sets all of them, ``set_ids`` (B, K) int32, and how many are in the set, ``set_size`` (B,) int32.
        """
        logits = pick_scores(outputs, name=self._spec.output.name, model="a classification model")
        xp = array_namespace(logits)
        skipped = self._spec.output.skip_classes
        check_num_classes(logits.shape[1] - skipped, classes=self._spec.classes, shape=tuple(logits.shape))
        scores = activate(logits, calibration=self._calibration, skipped=skipped)
        logits, scores = logits[:, skipped:], scores[:, skipped:]  # (B, K)
        # By logits, which still differ where scores round to 1; stable, so that equal ones come by class id everywhere.
        order = xp.argsort(logits, axis=1, descending=True, stable=True)  # (B, K)
        sets: dict[str, Array] = {}
        if self._spec.conformal is not None:
            ranked = xp.take_along_axis(scores, order, axis=1)
            sets = {"set_ids": xp.astype(order, xp.int32), "set_size": set_sizes(ranked, self._spec.conformal)}
        order = order[:, : self._top_k]
        return {
            "class_ids": xp.astype(order, xp.int32),
            "scores": xp.take_along_axis(scores, order, axis=1),
            "entropy": normalized_entropy(scores),
            "finite": all_finite(logits),
            **sets,
        }

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """Name the classes of the only tile."""
        class_ids = np.asarray(raw["class_ids"][0], np.int32)
        return Classification(
            class_ids=class_ids,
            scores=np.asarray(raw["scores"][0], np.float32),
            labels=tuple(self._spec.classes[index] for index in class_ids),
            entropy=float(raw["entropy"][0]),
            prediction_set=np.asarray(raw["set_ids"][0][: int(raw["set_size"][0])]) if "set_ids" in raw else None,
        )

    def to_row(self, result: Result) -> dict[str, Any]:
        """The best class flat, the others nested."""
        assert isinstance(result, Classification), "a classification task makes classifications"
        ids, scores = result.class_ids.tolist(), result.scores.tolist()
        sets = {} if result.prediction_set is None else {"prediction_set": result.prediction_set.tolist()}
        return {
            "class_id": ids[0],
            "label": result.labels[0],
            "score": scores[0],
            "entropy": result.entropy,
            "top_k": [
                {"class_id": class_id, "label": label, "score": score}
                for class_id, label, score in zip(ids, result.labels, scores, strict=True)
            ],
            **sets,
        }


def normalized_entropy(scores: Array) -> Array:
    """(B,) entropy of (B, K) scores over its maximum, in [0, 1]; scores of 0 add nothing."""
    xp = array_namespace(scores)
    tiny = float(np.finfo(np.float32).tiny)
    entropy = -xp.sum(scores * xp.log(xp.clip(scores, tiny, None)), axis=1)
    return xp.clip(entropy / math.log(max(scores.shape[1], 2)), 0.0, 1.0)
