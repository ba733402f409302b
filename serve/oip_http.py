"""The Open Inference Protocol over HTTP: ``/v2``."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from serve.backend import Backend
from serve.bodies import check_body_headers, read_body
from serve.body_budget import BodyBudget
from serve.config import ServeConfig
from serve.errors import BadImageError, InternalError, InvalidRequestError, MalformedBodyError, ServeError
from serve.json_text import to_json
from serve.keys import charge_images
from serve.oip import LARGE_BYTES, beside, infer
from serve.oip_json import read_body_request, write_reply
from serve.oip_metadata import index_json, lazy_models, model_json, server_json
from serve.reply import Receive, Reply, Scope, Send, send_reply
from serve.request_head import read_head
from serve.request_id import request_id_of
from serve.watch import Watch

JSON_SIZE_HEADER = b"inference-header-content-length"


def build_oip_router(backend: Backend, config: ServeConfig, *, budget: BodyBudget) -> Router:
    """All paths of the protocol.

    Args:
        backend: answers images.
        config: limits and times.
        budget: of the bytes of bodies that the process holds.
    """
    facts = FactsRoutes(backend, config)
    infer_app = InferRoute(backend, config, budget=budget)
    routes = [
        Route("/v2", facts.server, methods=["GET"]),
        Route("/v2/health/live", facts.live, methods=["GET"]),
        Route("/v2/health/ready", facts.ready, methods=["GET"]),
        Route("/v2/repository/index", facts.index, methods=["POST"]),
    ]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        routes += [
            Route(path, facts.model, methods=["GET"]),
            Route(f"{path}/ready", facts.model_ready, methods=["GET"]),
            Route(f"{path}/infer", infer_app, methods=["POST"]),
        ]
    return Router(routes=routes)


class FactsRoutes:
    """What is told without an image.

    Args:
        backend: knows the models.
        config: knows which of them load with their first request.
    """

    def __init__(self, backend: Backend, config: ServeConfig) -> None:
        self._backend = backend
        self._lazy = lazy_models(backend, config)

    async def server(self, request: Request) -> Response:
        """The server's metadata."""
        return json_response(server_json())

    async def live(self, request: Request) -> Response:
        """200 as soon as anything answers."""
        return json_response({"live": True})

    async def ready(self, request: Request) -> Response:
        """200 where all models can answer, else 503."""
        is_ready = all(model.is_ready or model.name in self._lazy for model in await self._backend.models())
        return json_response({"ready": is_ready}, status=200 if is_ready else 503)

    async def index(self, request: Request) -> Response:
        """All models and their states."""
        return json_response([index_json(model) for model in await self._backend.models()])

    async def model(self, request: Request) -> Response:
        """A model's metadata."""
        return await self._guard(lambda name, version: self._describe(name, version), request)

    async def model_ready(self, request: Request) -> Response:
        """200 where the model can answer, else 503; 404 for one that is unknown."""
        return await self._guard(lambda name, version: self._is_ready(name, version), request)

    async def _describe(self, name: str, version: str) -> Response:
        return json_response(model_json(await self._backend.model(name, version=version)))

    async def _is_ready(self, name: str, version: str) -> Response:
        model = await self._backend.model(name, version=version)
        is_ready = model.is_ready or model.name in self._lazy
        return json_response({"name": model.name, "ready": is_ready}, status=200 if is_ready else 503)

    async def _guard(self, answer: Callable[[str, str], Awaitable[Response]], request: Request) -> Response:
        try:
            return await answer(request.path_params["model"], request.path_params.get("version", ""))
        except ServeError as exc:
            reply = error_reply(exc)
        return Response(reply.body, status_code=reply.status, media_type="application/json")


class InferRoute:
    """Inference, as plain ASGI: with small models a request is a millisecond.

    Args:
        backend: answers images.
        config: limits and times.
        budget: of the bytes of bodies.
    """

    def __init__(self, backend: Backend, config: ServeConfig, *, budget: BodyBudget) -> None:
        self._backend = backend
        self._config = config
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a mistake of ours, or a client that has gone, is for the gate to tell."""
        try:
            reply = await self._answer(scope, receive)
        except InternalError:
            raise
        except ServeError as exc:
            reply = error_reply(exc)
        await send_reply(reply, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        limits = self._config.limits
        head = read_head(scope, timeout_s=limits.timeout_s)
        check_body_headers(head.headers, max_bytes=limits.max_body_bytes)
        with self._budget.share() as share:
            body = await read_body(receive, max_bytes=limits.max_body_bytes, http=self._config.http, share=share)
            path = scope["path_params"]
            json_bytes = read_json_size(head.headers)
            request, form = await beside(
                lambda: read_body_request(
                    body,
                    json_bytes=json_bytes,
                    model=path["model"],
                    version=path.get("version", ""),
                    request_id=request_id_of(scope),
                ),
                is_heavy=(len(body) if json_bytes is None else json_bytes) > LARGE_BYTES,
            )
            with Watch(receive, seconds=head.left_s, asked_s=head.timeout_s):
                reply = await infer(
                    self._backend,
                    request,
                    limits=limits,
                    deadline_s=time.time() + head.left_s,
                    charge=lambda count: charge_images(scope, count),
                )
        return await beside(lambda: answer_reply(*write_reply(reply, form)), is_heavy=reply.is_heavy)


def read_json_size(headers: Mapping[bytes, bytes]) -> int | None:
    """Bytes of JSON before the binary data, None where all is JSON.

    Raises:
        MalformedBodyError: the header is no number.
    """
    text = headers.get(JSON_SIZE_HEADER)
    if text is None:
        return None
    if text.isdigit() and len(text) <= 18:
        return int(text)
    raise MalformedBodyError(
        f"Inference-Header-Content-Length must be a whole number of bytes, got {text[:40].decode('latin-1')!r}; it is "
        "the size of the JSON before the binary data"
    )


def answer_reply(body: bytes, json_bytes: int | None) -> Reply:
    """A body as an answer; with binary data a header says where it begins."""
    if json_bytes is None:
        return Reply(body=body)
    return Reply(
        body=body,
        content_type=b"application/octet-stream",
        headers=((JSON_SIZE_HEADER, b"%d" % json_bytes),),
    )


def error_reply(error: ServeError) -> Reply:
    """An error as the protocol has it: ``{"error": ...}``, and what clients may decide by."""
    members = {"error": str(error), "kind": error.kind}
    if isinstance(error, BadImageError):
        members["image_status"] = error.status
    retry = () if error.retry_after_s is None else ((b"retry-after", b"%d" % error.retry_after_s),)
    # The protocol knows 400 alone for requests that cannot be read.
    status = 400 if isinstance(error, InvalidRequestError) else error.http_status
    return Reply(status=status, body=to_json(members), headers=retry)


def json_response(value: Any, *, status: int = 200) -> Response:
    """JSON as an answer."""
    return Response(to_json(value), status_code=status, media_type="application/json")
