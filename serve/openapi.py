"""``/openapi.json``: what the framework knows of its routes, and the predict route, which is not one of those."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serve.explain_openapi import ExplainAnswer, explain_operation, model_parameter
from serve.json_text import to_json
from serve.offers import VIEWS
from serve.schemas import TINY_PNG, ImageInput, PredictAnswer, PredictAnswers, PredictBody, Problem

REF = "#/components/schemas/"
BINARY = {"type": "string", "format": "binary"}

PROBLEMS = {
    "400": "The body is not what its content type says",
    "401": "A key is wanted, and there is none or a wrong one",
    "403": "A URI is not below an allowed prefix",
    "404": "Nobody serves the model",
    "406": "No form of the answer is one that the client accepts",
    "408": "The body did not come in time",
    "413": "Over a limit of bytes, pixels or images; nothing of it was decoded",
    "415": "The content type, or the image's format, is none that is read",
    "422": "An option is unknown or out of range, or the image cannot be used",
    "429": "The queue is full, or the key has used up its requests; see Retry-After",
    "500": "A mistake of the service's own",
    "502": "An image could not be fetched",
    "503": "The model is loading or has gone; see Retry-After",
    "504": "The deadline was over first",
    "507": "The image does not fit the device's memory",
}


def describe_api(app: FastAPI) -> bytes:
    """The document as JSON; made once."""
    if app.openapi_schema is None:
        app.openapi_schema = build_document(app)
    return to_json(app.openapi_schema)


def build_document(app: FastAPI) -> dict[str, Any]:
    """The document."""
    document = dict(FastAPI.openapi(app))
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components |= request_schemas() | answer_schemas()
    paths = document["paths"]
    paths["/v1/predict"] = {"post": predict_operation(has_path_model=False)}
    paths["/v1/models/{model}/predict"] = {"post": predict_operation(has_path_model=True)}
    if any(getattr(route, "path", "") == "/v1/explain" for route in app.router.routes):
        paths["/v1/explain"] = {"post": explain_operation(has_path_model=False, problems=PROBLEMS)}
        paths["/v1/models/{model}/explain"] = {"post": explain_operation(has_path_model=True, problems=PROBLEMS)}
    document["info"]["description"] = "Images in, predictions out: the same answers as a batch job's rows."
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in paths.items():
        for operation in operations.values():
            add_problems(operation, can_be_unknown="{model}" in path)
    return document


def add_problems(operation: dict[str, Any], *, can_be_unknown: bool) -> None:
    """Problems of any operation, in the place of what the framework would tell."""
    responses = operation["responses"]
    if "requestBody" not in operation:
        responses.pop("422", None)
    if can_be_unknown:
        responses["404"] = problem_response(PROBLEMS["404"])
    responses.setdefault("default", problem_response("Any other problem"))


def predict_operation(*, has_path_model: bool) -> dict[str, Any]:
    """The predict route, with the model in its path or in its query."""
    return {
        "tags": ["predict"],
        "operationId": "predict_with_model" if has_path_model else "predict",
        "summary": "Predict one image or several",
        "description": "The body is one image, a form with files, or JSON. Several images, and JSON in any case, are "
        "answered by a list, in which a bad image is a row with its status; a single bad image is a problem.",
        "parameters": [model_parameter(in_path=has_path_model), *OPTIONS],
        "requestBody": {"required": True, "content": bodies()},
        "responses": {
            "200": {
                "description": "The answer",
                "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
                "content": {
                    "application/json": {"schema": {"anyOf": [ref(PredictAnswer), ref(PredictAnswers)]}},
                    "image/png": {"schema": BINARY},
                    "application/x-npy": {"schema": BINARY},
                },
            },
            **{status: problem_response(text) for status, text in PROBLEMS.items()},
        },
        "security": [{}, {"bearer": []}, {"key": []}],
    }


OPTIONS: list[dict[str, Any]] = [
    {"name": "top_k", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100_000}, "example": 1},
    {"name": "threshold", "in": "query", "schema": {"type": "number", "minimum": 0, "maximum": 1}},
    {"name": "probabilities", "in": "query", "schema": {"type": "boolean"}},
    {"name": "mask", "in": "query", "schema": {"type": "boolean"}},
    {"name": "uncertainty", "in": "query", "schema": {"type": "boolean"}},
    {
        "name": "views",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
        "description": "How many of the model's views are run; 1 is the image as it is.",
    },
    {"name": "view", "in": "query", "schema": {"type": "string", "enum": list(VIEWS)}},
    {"name": "image_id", "in": "query", "schema": {"type": "string", "pattern": "^[ -~]{1,64}$"}},
    {
        "name": "X-Request-Timeout-Seconds",
        "in": "header",
        "schema": {"type": "number", "minimum": 5, "maximum": 3600},
        "description": "A deadline sooner than the service's own. Less is taken, too, and is soon over.",
    },
]


def bodies() -> dict[str, Any]:
    """Forms of the body."""
    form = {
        "type": "object",
        "properties": {
            "file": {"type": "array", "items": BINARY, "minItems": 1, "maxItems": 4},
            "top_k": {"type": "integer", "minimum": 1, "maximum": 100_000},
        },
        "required": ["file"],
        "additionalProperties": False,
    }
    return {
        "image/jpeg": {"schema": BINARY},
        "image/png": {"schema": BINARY},
        "application/octet-stream": {"schema": BINARY},
        "multipart/form-data": {"schema": form},
        "application/json": {
            "schema": ref(PredictBody),
            "examples": {
                "one": {"value": {"images": [{"data": TINY_PNG, "image_id": "white"}]}},
                "two": {"value": {"images": [{"data": TINY_PNG}, {"data": TINY_PNG}]}},
            },
        },
    }


def problem_response(text: str) -> dict[str, Any]:
    """A problem as a response."""
    return {"description": text, "content": {"application/problem+json": {"schema": ref(Problem)}}}


def ref(model: type[BaseModel]) -> dict[str, str]:
    """Where a schema stands in the document."""
    return {"$ref": REF + model.__name__}


def request_schemas() -> dict[str, Any]:
    """Schemas of what is read; of an image's two sources exactly one."""
    schemas = schemas_of([PredictBody], mode="validation")
    schemas[ImageInput.__name__]["oneOf"] = [{"required": ["data"]}, {"required": ["uri"]}]
    return schemas


def answer_schemas() -> dict[str, Any]:
    """Schemas of what is written."""
    return schemas_of([PredictAnswer, PredictAnswers, ExplainAnswer, Problem], mode="serialization")


def schemas_of(models: list[type[BaseModel]], *, mode: Any) -> dict[str, Any]:
    """Schemas by name, with all that they use."""
    _, document = models_json_schema([(model, mode) for model in models], ref_template=REF + "{model}")
    found: dict[str, Any] = document["$defs"]
    return found
