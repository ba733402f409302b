"""The door of WebSocket ``/v1/stream``: who may come in, and how many."""

from __future__ import annotations

import logging

from starlette.websockets import WebSocket, WebSocketDisconnect

from serve.backend import Backend
from serve.body_budget import BodyBudget
from serve.config import ServeConfig
from serve.errors import OverloadedError, ServeError
from serve.handshake import check_origin, chosen_subprotocol, refuse_handshake
from serve.problems import problem_reply
from serve.reply import Receive, Scope, Send
from serve.request_id import request_id_of
from serve.stream_session import Stream

PATH = "/v1/stream"

logger = logging.getLogger(__name__)


class StreamRoute:
    """Answers streams.

    Args:
        backend: the models.
        config: of the service.
        budget: counts the bytes of frames that are held, with those of other requests.
    """

    def __init__(self, backend: Backend, config: ServeConfig, *, budget: BodyBudget) -> None:
        self._backend = backend
        self._config = config
        self.budget = budget
        self.num_open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one stream until it ends."""
        socket = WebSocket(scope, receive=receive, send=send)
        await socket.receive()  # the wish to connect
        try:
            check_origin(scope, allowed=self._config.security.cors_origins)
            self._check_room()
        except ServeError as exc:
            await refuse_handshake(problem_reply(exc, request_id=request_id_of(scope)), scope, send)
            return
        self.num_open += 1
        try:
            await socket.accept(subprotocol=chosen_subprotocol(scope))
            await Stream(socket, self._backend, self._config, budget=self.budget).run()
        except (WebSocketDisconnect, RuntimeError) as exc:  # RuntimeError: a send after the client closed
            logger.debug("stream %s: the client went: %r", request_id_of(scope), exc)
        finally:
            self.num_open -= 1

    def _check_room(self) -> None:
        most = self._config.stream.max_streams
        if self.num_open >= most:
            raise OverloadedError(f"streams must be at most {most} at once, and so many are open", retry_after_s=5)
