"""A backend that answers when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from serve.answers import Answer, PredictRequest, ServedModel
from serve.backend import Backend


class HeldBackend:
    """Holds each request until it is let go, then asks the real one.

    Args:
        backend: that knows the answers.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._gate = asyncio.Semaphore(0)
        self._arrival = asyncio.Event()
        self.begun: list[str] = []
        """Image ids in the order in which they came."""
        self.cancelled: list[str] = []

    def let_go(self, count: int) -> None:
        """Answer so many."""
        for _ in range(count):
            self._gate.release()

    async def until_begun(self, count: int) -> None:
        """Wait until so many have come."""
        async with asyncio.timeout(20):
            while len(self.begun) < count:
                self._arrival.clear()
                await self._arrival.wait()

    async def predict(self, request: PredictRequest) -> Answer:
        """See Backend."""
        self.begun.append(request.image_id)
        self._arrival.set()
        try:
            await self._gate.acquire()
        except asyncio.CancelledError:
            self.cancelled.append(request.image_id)
            raise
        return await self._backend.predict(request)

    async def models(self) -> Sequence[ServedModel]:
        """See Backend."""
        return await self._backend.models()

    async def model(self, name: str, *, version: str = "") -> ServedModel:
        """See Backend."""
        return await self._backend.model(name, version=version)

    def default_model(self) -> str:
        """See Backend."""
        return self._backend.default_model()

    def known_models(self) -> Sequence[str]:
        """See Backend."""
        return self._backend.known_models()
