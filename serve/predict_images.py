"""The images of one request on their way through the backend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from inference_core.errors import InputError
from inference_core.export.rows import row_of
from inference_core.items import Prediction, StageMs
from inference_core.records import SourceFacts
from serve.answers import Answer, Options, PredictRequest
from serve.backend import Backend
from serve.sent import SentImage
from serve.stored_images import StoredImages

MAX_UNDER_WAY = 5
"""Images of one request in the backend at once, so that one caller does not fill the queue."""
NUM_FETCHERS = 8

Fetched = tuple[Answer, float]
"""An answer, and the milliseconds that its bytes took to come."""


class ImageCalls:
    """Turns sent images into answers.

    Args:
        backend: the models.
        stored: reads images that are named.
    """

    def __init__(self, backend: Backend, stored: StoredImages) -> None:
        self._backend = backend
        self._stored = stored
        self._fetchers = ThreadPoolExecutor(NUM_FETCHERS, thread_name_prefix="fetch")

    async def one(self, image: SentImage, *, model: str, options: Options, timeout_s: float, request_id: str) -> Answer:
        """The answer to an image whose bytes are there.

        Raises:
            ServeError: see ``Backend.predict``.
        """
        return await self._backend.predict(
            PredictRequest(
                model=model,
                image=image.data,
                image_id=image.image_id,
                uri=image.uri,
                options=options,
                deadline_s=time.time() + timeout_s,
                request_id=request_id,
            )
        )

    async def several(
        self, images: Sequence[SentImage], *, model: str, options: Options, timeout_s: float, request_id: str
    ) -> list[Fetched]:
        """The answers to images, in their order. A bad one has a status; where one is refused, all are.

        Raises:
            ForbiddenError: a URI may not be read; nothing was fetched.
            ServeError: see ``Backend.predict``.
        """
        loop = asyncio.get_running_loop()
        uris = [image.uri for image in images if image.uri]
        allowed = iter(await loop.run_in_executor(self._fetchers, lambda: [self._stored.check(uri) for uri in uris]))
        deadline_s = loop.time() + timeout_s
        room = asyncio.Semaphore(MAX_UNDER_WAY)

        async def answer(image: SentImage, uri: str) -> Fetched:
            async with room:
                try:
                    data, fetch_ms = await self._fetch(uri) if uri else (image.data, 0.0)
                except InputError as error:
                    return unfetched(image, error, model=model), 0.0
                sent = SentImage(image_id=image.image_id, data=data, uri=image.uri)
                left_s = deadline_s - loop.time()
                return await self.one(
                    sent, model=model, options=options, timeout_s=left_s, request_id=request_id
                ), fetch_ms

        tasks = [asyncio.ensure_future(answer(image, next(allowed) if image.uri else "")) for image in images]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _fetch(self, uri: str) -> tuple[bytes, float]:
        started_s = time.perf_counter()
        data = await asyncio.get_running_loop().run_in_executor(self._fetchers, self._stored.read, uri)
        return data, (time.perf_counter() - started_s) * 1000


def unfetched(image: SentImage, error: InputError, *, model: str) -> Answer:
    """The answer to an image whose bytes could not be had: the row that a job would write."""
    source = SourceFacts(image_id=image.image_id, uri=image.uri)
    prediction = Prediction(source=source, status=error.status, error=str(error), stage_ms=StageMs())
    return Answer(prediction=prediction, row=row_of(prediction, None, row_id=0), model=model, model_digest="")
