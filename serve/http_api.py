"""The HTTP application: routes behind one gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route, WebSocketRoute

from serve.backend import Backend
from serve.config import ServeConfig
from serve.errors import InvalidRequestError
from serve.explain_route import ExplainRoute
from serve.gate import Gate
from serve.keys import KeyRing, open_keys
from serve.model_routes import build_model_router
from serve.oip_http import build_oip_router
from serve.openapi import describe_api
from serve.page_routes import page_routes
from serve.predict_route import PredictRoute
from serve.problems import problem_reply, status_problem_reply
from serve.reply import App, Receive, Reply, Scope, Send
from serve.request_id import request_id_of
from serve.stream import PATH, StreamRoute

PREDICT_PATH = "/v1/predict"
CORS_METHODS = ("GET", "POST")
EXPOSED_HEADERS = ("x-request-id", "x-model", "x-model-digest", "retry-after")


class HttpApp(FastAPI):
    """The framework's application, which predict requests do not pass.

    Its layers (telemetry, form limits, exit stacks, routing) are a quarter of the time of a request, and predicting
    needs none of them.
    """

    predict: App
    """The gate with the route behind it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["path"] == PREDICT_PATH and scope["method"] == "POST":
            await self.predict(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def build_http_app(backend: Backend, config: ServeConfig, *, keys: KeyRing | None = None) -> HttpApp:
    """All that is answered over HTTP.

    Args:
        backend: the models.
        config: of the service.
        keys: shared with gRPC, so that a limit counts for both; by default those of ``config.security``.

    Raises:
        ConfigError: the keys or the allow-list of URIs are wrong.
    """
    app = HttpApp(title="Millrace", docs_url=None, redoc_url=None, openapi_url=None)
    route = PredictRoute(backend, config)
    app.router.routes.append(Route(PREDICT_PATH, route, methods=["POST"]))
    app.router.routes.append(Route("/v1/models/{model}/predict", route, methods=["POST"]))
    if config.limits.max_explaining:
        explains = ExplainRoute(backend, config, budget=route.budget)
        app.router.routes.append(Route("/v1/explain", explains, methods=["POST"]))
        app.router.routes.append(Route("/v1/models/{model}/explain", explains, methods=["POST"]))
    app.include_router(build_model_router(backend, config))
    app.router.routes.extend(build_oip_router(backend, config, budget=route.budget).routes)
    if config.stream.is_on:
        app.router.routes.append(WebSocketRoute(PATH, StreamRoute(backend, config, budget=route.budget)))
    if config.http.has_page:
        app.router.routes.extend(page_routes())
    add_openapi(app)
    app.add_exception_handler(HTTPException, tell_http_error)
    app.add_exception_handler(RequestValidationError, tell_invalid)
    guard(app, route, keys=keys or open_keys(config.security), origins=config.security.cors_origins)
    return app


def guard(app: HttpApp, route: PredictRoute, *, keys: KeyRing | None, origins: Sequence[str]) -> None:
    """Put the gate before everything, and answers to the pages of other origins before that."""
    allows_origins = bool(origins)
    app.add_middleware(Gate, keys=keys, allows_origins=allows_origins)
    app.predict = Gate(route, keys=keys, allows_origins=allows_origins)
    if allows_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=CORS_METHODS,
            allow_headers=("*",),
            expose_headers=EXPOSED_HEADERS,
        )
        app.predict = CORSMiddleware(app.predict, allow_origins=origins, expose_headers=EXPOSED_HEADERS)


def add_openapi(app: FastAPI) -> None:
    """``/openapi.json``, without the pages that fetch scripts from elsewhere."""

    async def show(request: Request) -> Response:
        return Response(describe_api(app), media_type="application/json")

    app.router.routes.append(Route("/openapi.json", show, methods=["GET"]))


async def tell_http_error(request: Request, exc: Exception) -> Response:
    """What the router refuses."""
    assert isinstance(exc, HTTPException), "it is registered for these"
    reply = status_problem_reply(
        exc.status_code, request_id=request_id_of(request.scope), path=request.url.path, headers=dict(exc.headers or {})
    )
    return as_response(reply)


async def tell_invalid(request: Request, exc: Exception) -> Response:
    """What does not fit the parameters of a route."""
    assert isinstance(exc, RequestValidationError), "it is registered for these"
    errors = [{"field": field_of(problem), "message": str(problem["msg"])} for problem in exc.errors()[:8]]
    first = errors[0]
    error = InvalidRequestError(f"{first['field']} must be valid, got a mistake: {first['message']}", errors=errors)
    return as_response(problem_reply(error, request_id=request_id_of(request.scope), path=request.url.path))


def field_of(problem: Any) -> str:
    """The dotted name of what a problem is about."""
    return ".".join(str(part)[:80] for part in problem["loc"])


def as_response(reply: Reply) -> Response:
    """A reply for routes of the framework."""
    headers = {name.decode(): value.decode("latin-1") for name, value in reply.headers}
    headers["content-type"] = reply.content_type.decode()
    return Response(reply.body, status_code=reply.status, headers=headers)
