"""The third verb: the model's output becomes the answer in the image's own pixels."""

from __future__ import annotations

import time
from dataclasses import replace

from inference_core.preparer import elapsed_ms
from inference_core.records import Prediction, RawItem
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
        """The prediction of one item; a failed one keeps its status and error."""
        if item.raw is None or item.placement is None:
            return Prediction(
                source=item.source,
                status=item.status,
                error=item.error,
                stage_ms=item.stage_ms,
                model_digest=self._model_digest,
                engine=item.engine,
            )
        started = time.perf_counter()
        result = self._task.finish(item.raw, item.placement)
        return Prediction(
            source=item.source,
            status="ok",
            result=result,
            stage_ms=replace(item.stage_ms, finish=elapsed_ms(started)),
            model_digest=self._model_digest,
            engine=item.engine,
        )
