"""``GET /v1/models``, and health."""

from __future__ import annotations

from fastapi import APIRouter, Response

from serve.answers import ServedModel
from serve.backend import Backend
from serve.config import ServeConfig
from serve.json_text import to_json
from serve.offers import offers_of
from serve.schemas import Health, ModelAnswer, ModelsAnswer


def build_model_router(backend: Backend, config: ServeConfig) -> APIRouter:
    """Routes that tell of the service."""
    router = APIRouter()

    @router.get("/v1/models", response_model=ModelsAnswer, tags=["models"], summary="All served models")
    async def list_models() -> Response:
        """Name, digest, task, classes, options and the whole spec of each; the default one first."""
        found = [describe(model, default=backend.default_model()) for model in await backend.models()]
        return json_response({"models": found})

    @router.get(
        "/v1/models/{model}",
        response_model=ModelAnswer,
        tags=["models"],
        summary="One served model",
    )
    async def show_model(model: str) -> Response:
        """See ``/v1/models``."""
        return json_response(describe(await backend.model(model), default=backend.default_model()))

    @router.get("/healthz", response_model=Health, tags=["health"], summary="Whether the process lives")
    async def live() -> Response:
        """200 as long as requests are answered at all."""
        return json_response({"status": "live"})

    @router.get(
        "/readyz",
        response_model=Health,
        responses={503: {"model": Health, "description": "A model is not loaded"}},
        tags=["health"],
        summary="Whether models can answer",
    )
    async def ready() -> Response:
        """200 when all models are loaded but those that load with their first request."""
        models = await backend.models()
        lazy = [settings.is_lazy for settings in config.models]
        readiness = {model.name: model.is_ready or is_lazy for model, is_lazy in zip(models, lazy, strict=True)}
        is_ready = all(readiness.values())
        body = {"status": "ready" if is_ready else "not ready", "models": readiness}
        return json_response(body, status=200 if is_ready else 503)

    return router


def describe(model: ServedModel, *, default: str) -> dict[str, object]:
    """What is told of a model."""
    return {
        "name": model.name,
        "digest": model.digest,
        "version": model.version,
        "task": model.task,
        "classes": model.classes,
        "engine": model.engine,
        "input_hw": model.input_hw,
        "num_channels": model.num_channels,
        "is_ready": model.is_ready,
        "is_default": model.name == default,
        "options": model.options,
        "accepts": [str(offer) for offer in offers_of(model)],
        "spec": model.spec,
    }


def json_response(content: object, *, status: int = 200) -> Response:
    """JSON as everywhere here."""
    return Response(to_json(content), status_code=status, media_type="application/json")
