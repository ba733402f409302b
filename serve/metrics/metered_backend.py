"""A backend that counts what it answers."""

from __future__ import annotations

from collections.abc import Sequence

from serve.answers import Answer, PredictRequest, ServedModel
from serve.backend import Backend
from serve.errors import ServeError
from serve.metrics.names import (
    BATCH_IMAGES,
    BATCHES,
    CACHE_HITS,
    IMAGES_IN_FLIGHT,
    IMAGES_REFUSED,
    IMAGES_TOTAL,
    REASONS,
    SCORE,
    STAGE_SECONDS,
    VERDICTS,
)
from serve.metrics.tally import Tally
from serve.metrics.visit import CURRENT


class MeteredBackend:
    """Passes everything on and counts the answers.

    Args:
        inner: answers.
        tally: counts.
    """

    def __init__(self, inner: Backend, tally: Tally) -> None:
        self._inner = inner
        self._tally = tally
        self._known = frozenset(inner.known_models())

    async def predict(self, request: PredictRequest) -> Answer:
        """See Backend."""
        tally = self._tally
        name = request.model or self._inner.default_model()
        model = name if name in self._known else ""  # a label of what clients make up would have no end
        tally.add(IMAGES_IN_FLIGHT, (model,))
        try:
            answer = await self._inner.predict(request)
        except ServeError as exc:
            tally.add(IMAGES_REFUSED, (model, exc.kind))
            raise
        finally:
            tally.add(IMAGES_IN_FLIGHT, (model,), -1.0)
        count_answer(tally, answer)
        visit = CURRENT.get()
        if visit is not None:
            visit.note(answer)
        return answer

    async def models(self) -> Sequence[ServedModel]:
        """See Backend."""
        return await self._inner.models()

    async def model(self, name: str, *, version: str = "") -> ServedModel:
        """See Backend."""
        return await self._inner.model(name, version=version)

    def default_model(self) -> str:
        """See Backend."""
        return self._inner.default_model()

    def known_models(self) -> Sequence[str]:
        """See Backend."""
        return self._inner.known_models()


def count_answer(tally: Tally, answer: Answer) -> None:
    """Count one image; the times of a cached answer are those of another request."""
    model = answer.model
    tally.add(IMAGES_TOTAL, (model, answer.prediction.status))
    count_quality(tally, answer)
    if answer.was_cached:
        tally.add(CACHE_HITS, (model,))
        return
    prediction, times = answer.prediction, answer.prediction.stage_ms
    tally.observe(STAGE_SECONDS, (model, "queue"), answer.queue_ms / 1000)
    tally.observe(STAGE_SECONDS, (model, "prepare"), times.prepare / 1000)
    if not prediction.engine:  # it was no image
        return
    tally.observe(STAGE_SECONDS, (model, "infer"), times.infer / 1000)
    tally.observe(STAGE_SECONDS, (model, "finish"), times.finish / 1000)
    tally.observe(BATCH_IMAGES, (model,), answer.batch_size)
    tally.add(BATCHES, (model,), 1 / max(1, answer.batch_size))


def count_quality(tally: Tally, answer: Answer) -> None:
    """Count what an answer is worth; one from the cache is an answer all the same."""
    model, prediction = answer.model, answer.prediction
    if prediction.verdict is not None:
        tally.add(VERDICTS, (model, prediction.verdict))
        for reason in prediction.reasons:
            tally.add(REASONS, (model, reason))
    score = answer.row.get("score")
    if score is not None:
        tally.observe(SCORE, (model,), score)
