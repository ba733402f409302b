"""The one thing that HTTP, gRPC and WebSocket talk to: models by name, in this process or in others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve.answers import Answer, PredictRequest, ServedModel


class Backend(Protocol):
    """Answers requests. All methods run on one event loop and never block it."""

    async def predict(self, request: PredictRequest) -> Answer:
        """Answer one image. Cancelling the call takes it out of the queue.

        Raises:
            UnknownModelError, OverloadedError, UnavailableError, DeadlineError, InvalidRequestError, InternalError.
        """

    async def models(self) -> Sequence[ServedModel]:
        """All served models, by name; the first one of the settings is the default."""

    async def model(self, name: str, *, version: str = "") -> ServedModel:
        """One model.

        Raises:
            UnknownModelError: nobody serves it, or another version of it.
        """

    def default_model(self) -> str:
        """The model of requests that name none."""

    def known_models(self) -> Sequence[str]:
        """Names of all served models, in the order of the settings; costs nothing."""
