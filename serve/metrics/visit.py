"""One request under way, as those see it who count and log; whoever answers it adds what it finds."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter

from serve.answers import Answer

CURRENT: ContextVar[Visit | None] = ContextVar("millrace_visit", default=None)
"""The request that a task belongs to."""


@dataclass(slots=True, kw_only=True)
class Visit:
    """What is told of a request; no content of it."""

    protocol: str
    """``http``, ``websocket`` or ``grpc``."""
    method: str
    route: str
    """The path's pattern, so that there are few."""
    started_s: float
    """On the clock of ``time.perf_counter``."""
    status: str = ""
    """HTTP status, or the name of gRPC's code; "" while there is no answer."""
    reason: str = ""
    """Kind of the problem, "" where there is none."""
    request_id: str = ""
    received_bytes: int = 0
    sent_bytes: int = 0
    model: str = ""
    digest: str = ""
    num_images: int = 0
    num_cached: int = 0
    batch_size: int = 0
    """Of the largest batch that an image of the request was in."""
    queue_ms: float = 0.0
    """Of all images of the request together, as the following."""
    prepare_ms: float = 0.0
    infer_ms: float = 0.0
    finish_ms: float = 0.0

    def note(self, answer: Answer) -> None:
        """One more image was answered."""
        self.model, self.digest = answer.model, answer.model_digest
        self.num_images += 1
        if answer.was_cached:
            self.num_cached += 1
            return
        times = answer.prediction.stage_ms
        self.batch_size = max(self.batch_size, answer.batch_size)
        self.queue_ms += answer.queue_ms
        self.prepare_ms += times.prepare
        self.infer_ms += times.infer
        self.finish_ms += times.finish

    def seconds(self) -> float:
        """Since its beginning."""
        return perf_counter() - self.started_s
