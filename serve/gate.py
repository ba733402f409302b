"""What every request passes: an id, its key, headers of its answer, and one place where errors become problems."""

from __future__ import annotations

import logging

from serve.errors import InternalError, ServeError
from serve.handshake import key_in_subprotocols, refuse_handshake
from serve.keys import SCOPE_KEY as KEY
from serve.keys import KeyRing, key_in_headers
from serve.problems import problem_reply
from serve.reply import App, Message, Receive, Scope, Send, send_reply
from serve.request_id import SCOPE_KEY as REQUEST_ID
from serve.request_id import choose_request_id
from serve.security_headers import add_missing, headers_for
from serve.watch import ClientGoneError

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/openapi.json"})
"""What is answered without a key: health, because probes have none, and what holds no answer of a model."""
OPEN_PREFIX = "/page/"

logger = logging.getLogger(__name__)


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: what is behind it.
        keys: who may ask; None lets everybody.
        allows_origins: whether pages of other origins may read answers.
    """

    def __init__(self, app: App, *, keys: KeyRing | None, allows_origins: bool) -> None:
        self._app = app
        self._keys = keys
        self._allows_origins = allows_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request."""
        if scope["type"] == "http":
            await self._pass_http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._pass_websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _pass_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        request_id = scope[REQUEST_ID] = choose_request_id(scope["headers"])
        added = (*headers_for(path, allows_origins=self._allows_origins), (b"x-request-id", request_id.encode()))
        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                message["headers"] = add_missing(list(message.get("headers", ())), added)
            await send(message)

        try:
            self._check_key(scope, path)
            await self._app(scope, receive, send_with_headers)
            return
        except ClientGoneError:
            logger.debug("request %s: the client went before its answer", request_id)
            return
        except ServeError as exc:
            if has_started:
                raise
            if isinstance(exc, InternalError):
                logger.error("request %s failed", request_id, exc_info=exc)
            error = exc
        except Exception as exc:  # the request guard: whatever it is, the client is told an id and no more
            if has_started:
                raise
            logger.error("request %s failed", request_id, exc_info=exc)
            error = unexpected_error(request_id)
        await send_reply(problem_reply(error, request_id=request_id, path=path), send_with_headers)

    async def _pass_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[REQUEST_ID] = choose_request_id(scope["headers"])
        try:
            self._check_key(scope, scope["path"])
        except ServeError as exc:
            await receive()
            await refuse_handshake(problem_reply(exc, request_id=scope[REQUEST_ID]), scope, send)
            return
        await self._app(scope, receive, send)

    def _check_key(self, scope: Scope, path: str) -> None:
        if self._keys is None or path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return
        scope[KEY] = self._keys.use(key_in_headers(scope["headers"]) or key_in_subprotocols(scope))


def unexpected_error(request_id: str) -> InternalError:
    """What is told of a mistake of ours."""
    return InternalError(
        f"the service must answer this request, but failed; the operator finds {request_id} in its log"
    )
