"""What one member of an ensemble gives by itself, where members meet in the image: all its scores, in small types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from inference_core.engines.protocol import Array
from inference_core.enhance.forwards import Seen
from inference_core.output_spec import TaskName
from inference_core.tasks.candidates import Candidates, arrays_of
from inference_core.tasks.detection import count_boxes, is_finite
from inference_core.tasks.outputs import all_finite, to_uint8

SCORES = "scores"
"""Name of the scores, or of the vectors of an embedding."""


class MemberAnswer:
    """Hands on the only answer there is."""

    def merge(self, forwards: Iterable[Seen]) -> dict[str, Array]:
        """The scores (B, K, ...) or vectors (B, D) of a member as ``scores``; of boxes what Candidates have."""
        (seen,) = forwards
        if isinstance(seen.answer, Candidates):
            return {**arrays_of(seen.answer), **seen.answer.carried}
        return {SCORES: seen.answer}


class MemberScores:
    """Reduces them.

    Args:
        task: of the model.
    """

    def __init__(self, task: TaskName) -> None:
        self._task = task

    @np.errstate(over="ignore", invalid="ignore")
    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        """See Reducer. Scores of pixels as uint8 (B, K, h, w), those of the foreground alone with two classes; those of
        images as they are; boxes, best first, with ``num_boxes`` (B,) of them used.
        """
        if self._task == "detection":
            found = Candidates(**{name: outputs[name] for name in ("boxes_xyxy", "scores", "class_ids")})
            return {**outputs, "num_boxes": count_boxes(found), "finite": is_finite(found, found)}
        scores = outputs[SCORES]
        kept = to_uint8(scores) if self._task == "segmentation" else scores
        return {SCORES: kept, "finite": all_finite(scores)}
