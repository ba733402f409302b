"""The third verb: the model's output becomes the answer in the image's own pixels."""

from __future__ import annotations

import time
from dataclasses import replace

from inference_core.enhance.member_join import MemberJoin
from inference_core.errors import InputError
from inference_core.items import Prediction, RawItem
from inference_core.preparer import elapsed_ms
from inference_core.quality.grader import Grader
from inference_core.status import Status
from inference_core.tasks.protocol import Task


class Finisher:
    """Finishes raw outputs of one model. Holds no state; safe to share between threads.

    Args:
        task: knows how.
        model_digest: written into every prediction.
        grader: adds statistics and verdict.
        member_join: merges what members that take different inputs gave; None where no model has such members.
    """

    def __init__(self, task: Task, *, model_digest: str, grader: Grader, member_join: MemberJoin | None = None) -> None:
        self._task = task
        self._join = member_join
        self._model_digest = model_digest
        self._grader = grader

    def finish(self, item: RawItem) -> Prediction:
        """The prediction of one item; a failed one keeps its status and error, and so does one that a step refuses."""
        started = time.perf_counter()
        item = self.joined(item)
        if item.raw is None or item.placement is None:
            return self._failed(item, status=item.status, error=item.error)
        try:
            result = self._task.finish(item.raw, item.placement)
        except InputError as exc:
            return self._failed(item, status=exc.status, error=str(exc))
        prediction = Prediction(
            source=item.source,
            status="ok",
            result=result,
            stage_ms=replace(item.stage_ms, finish=elapsed_ms(started)),
            model_digest=self._model_digest,
            engine=item.engine,
        )
        graded = self._grader.grade(prediction, item.raw)
        if graded is prediction:  # nothing else is asked for
            return prediction
        return replace(graded, stage_ms=replace(item.stage_ms, finish=elapsed_ms(started)))

    def joined(self, item: RawItem) -> RawItem:
        """The item with one raw output in the place of those of members; itself where there is one already."""
        if self._join is None or not item.others:
            return item
        raw, placement = self._join.join(item.parts)
        return replace(item, raw=raw, placement=placement, others=())

    def regrade(self, prediction: Prediction, item: RawItem) -> Prediction:
        """A prediction whose answer was changed after ``finish``, with the statistics and the verdict of the change."""
        raw = self.joined(item).raw
        return prediction if raw is None else self._grader.grade(prediction, raw)

    def _failed(self, item: RawItem, *, status: Status, error: str) -> Prediction:
        """The prediction of an item without an answer."""
        return Prediction(
            source=item.source,
            status=status,
            error=error,
            stage_ms=item.stage_ms,
            model_digest=self._model_digest,
            engine=item.engine,
        )
