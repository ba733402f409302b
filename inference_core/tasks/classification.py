"""Classification: the best classes of each image, with their scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from inference_core.errors import ModelError
from inference_core.records import Classification, Placement, Result
from inference_core.spec import ModelSpec
from inference_core.tasks.outputs import activate, check_num_classes, pick_output
from inference_core.tasks.protocol import RawOutput

if TYPE_CHECKING:
    from torch import Tensor

TOP_K_TYPE = pa.list_(pa.struct([("class_id", pa.int32()), ("label", pa.string()), ("score", pa.float32())]))


class ClassificationTask:
    """Reads class scores; one tile per image."""

    result_fields: tuple[pa.Field, ...] = (
        pa.field("class_id", pa.int32()),
        pa.field("label", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("entropy", pa.float32()),
        pa.field("top_k", TOP_K_TYPE),
    )

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._top_k = min(spec.output.top_k, len(spec.classes))

    def reduce(self, outputs: Mapping[str, Tensor], *, tile_hw: tuple[int, int]) -> dict[str, Tensor]:
        """Keep the top classes: ``class_ids`` (B, k) int32, ``scores`` (B, k), ``entropy`` and ``finite`` (B,)."""
        import torch

        logits = pick_output(outputs, name=self._spec.output.name)
        if logits.ndim > 2 and logits.shape[2:].numel() == 1:
            logits = logits.flatten(1)
        if logits.ndim != 2:
            raise ModelError(
                f"a classification model must give (B, K) scores, got {list(logits.shape)}; set output.name, or task"
            )
        check_num_classes(logits.shape[1], classes=self._spec.classes, shape=tuple(logits.shape))
        scores = activate(logits, spec=self._spec.output, temperature=self._spec.calibration.temperature)  # (B, K)
        # A stable sort, so that equal scores come in the order of their class ids on every device.
        ordered = torch.sort(scores, dim=1, descending=True, stable=True)
        entropy = torch.special.entr(scores.clamp(min=0)).sum(dim=1) / math.log(max(scores.shape[1], 2))
        return {
            "class_ids": ordered.indices[:, : self._top_k].int(),
            "scores": ordered.values[:, : self._top_k],
            "entropy": entropy.clamp(0, 1),
            "finite": scores.isfinite().all(dim=1),
        }

    def finish(self, raw: RawOutput, placement: Placement) -> Result:
        """Name the classes of the only tile."""
        class_ids = np.asarray(raw["class_ids"][0], np.int32)
        return Classification(
            class_ids=class_ids,
            scores=np.asarray(raw["scores"][0], np.float32),
            labels=tuple(self._spec.classes[index] for index in class_ids),
            entropy=float(raw["entropy"][0]),
        )

    def to_row(self, result: Result) -> dict[str, Any]:
        """The best class flat, the others nested."""
        assert isinstance(result, Classification), "a classification task makes classifications"
        ids, scores = result.class_ids.tolist(), result.scores.tolist()
        return {
            "class_id": ids[0],
            "label": result.labels[0],
            "score": scores[0],
            "entropy": result.entropy,
            "top_k": [
                {"class_id": class_id, "label": label, "score": score}
                for class_id, label, score in zip(ids, result.labels, scores, strict=True)
            ],
        }
