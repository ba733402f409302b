"""The third verb: the model's output becomes the answer in the image's own pixels."""

from __future__ import annotations

import time
from dataclasses import replace

from inference_core.errors import InputError
from inference_core.preparer import elapsed_ms
from inference_core.records import Prediction, RawItem
from inference_core.status import Status
from inference_core.tasks.protocol import Task


class Finisher:
    """Finishes raw outputs of one model. Holds no state; safe to share between threads.

    Args:
        task: knows how.
        model_digest: written into every prediction.
    """

    def __init__(self, task: Task, *, model_digest: str) -> None:
        self._task = task
        self._model_digest = model_digest

    def finish(self, item: RawItem) -> Prediction:
        """The prediction of one item; a failed one keeps its status and error, and so does one that a step refuses."""
        if item.raw is None or item.placement is None:
            return self._failed(item, status=item.status, error=item.error)
        started = time.perf_counter()
        try:
            result = self._task.finish(item.raw, item.placement)
        except InputError as exc:
            return self._failed(item, status=exc.status, error=str(exc))
        return Prediction(
            source=item.source,
            status="ok",
            result=result,
            stage_ms=replace(item.stage_ms, finish=elapsed_ms(started)),
            model_digest=self._model_digest,
            engine=item.engine,
        )

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
