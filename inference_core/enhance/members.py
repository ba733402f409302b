"""The forwards of an ensemble: each member's own merged and calibrated answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from inference_core.engines.protocol import Array
from inference_core.enhance.box_answer import on_cpu
from inference_core.enhance.engine import Answer
from inference_core.enhance.forwards import Load, Seen, Source
from inference_core.enhance.readers import HW
from inference_core.spec import ModelSpec
from inference_core.tasks.calibration import activate, build_calibration, foreground_scores
from inference_core.tasks.candidates import Candidates, candidates_of
from inference_core.tasks.detection import threshold_of
from inference_core.tasks.embedding import EmbeddingTask
from inference_core.tasks.enhanced import TOLD
from inference_core.tasks.merged_spec import MERGED, merged_spec
from inference_core.tasks.nms import suppress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One model of an ensemble, loaded."""

    source: Source
    answer: Answer
    spec: ModelSpec
    weight: float

    def scores(self, load: Load, *, tile_hw: HW) -> Any:
        """What it says of a batch as if it were alone: scores, vectors, or boxes that stay."""
        outputs = self.answer.merge(self.source.forwards(load, tile_hw=tile_hw))
        read_by = merged_spec(self.spec)
        if self.spec.task == "detection":
            return kept_or_nan(
                candidates_of({name: array for name, array in outputs.items() if name not in TOLD}), spec=read_by
            )
        if self.spec.task == "embedding":
            return EmbeddingTask(read_by).reduce(outputs, tile_hw=tile_hw)["vector"]
        calibration = build_calibration(read_by)
        if self.spec.is_binary:
            return foreground_scores(outputs[MERGED], calibration=calibration, is_logit=False)
        return activate(outputs[MERGED], calibration=calibration)


class Members:
    """The members of an ensemble, one after the other.

    Args:
        members: loaded, in order.
        shares_device: whether all give arrays of one library on one device; else they meet on the CPU.
    """

    def __init__(self, members: Sequence[Member], *, shares_device: bool) -> None:
        self._members = members
        self._shares_device = shares_device

    def forwards(self, load: Load, *, tile_hw: HW) -> Iterator[Seen]:
        """See Source."""
        for step, member in enumerate(self._members):
            answer = member.scores(load, tile_hw=tile_hw)
            if not self._shares_device:
                answer = on_cpu(answer) if isinstance(answer, Candidates) else array_on_cpu(answer)
            yield Seen(step=step, weight=member.weight, answer=answer)


def array_on_cpu(array: Array) -> Array:
    """An array of any device as a NumPy array."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


def kept_or_nan(found: Candidates, *, spec: ModelSpec) -> Candidates:
    """The boxes of a member that stay; all scores of a tile are NaN where one was."""
    kept = suppress(found, nms=spec.output.nms, threshold=threshold_of(spec))
    has_nan = np.isnan(found.scores).any(axis=1)
    scores = np.where(has_nan[:, None], np.float32(np.nan), kept.scores)
    return replace(kept, scores=scores, rows=None)
