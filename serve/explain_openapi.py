"""The explain route in ``/openapi.json``."""

from __future__ import annotations

from typing import Any, Literal

from serve.explain_asked import METHODS
from serve.schemas import Answered, Encoded, Problem

REF = "#/components/schemas/"
BINARY = {"type": "string", "format": "binary"}
PROBLEM = {"application/problem+json": {"schema": {"$ref": REF + Problem.__name__}}}


class ExplanationFacts(Answered):
    """What is told of an explanation beside its heatmap (docs/explain.md)."""

    image_id: str
    uri: str
    method: Literal["gradcam", "saliency", "integrated_gradients", "occlusion"]
    layer: str
    class_id: int
    label: str
    score: float
    box_xyxy: tuple[float, float, float, float] | None
    value: float
    baseline: list[int] | None
    baseline_value: float | None
    total: float
    convergence_delta: float | None
    window_px: tuple[float, float] | None
    height: int
    width: int
    engine: str
    model_digest: str
    shape: tuple[int, int]
    """Height and width of the heatmap, which are the image's."""


class ExplainAnswer(Answered):
    """The answer to one image."""

    model: str
    model_digest: str
    request_id: str
    explanation: ExplanationFacts
    total_ms: float
    heatmap: Encoded | None = None
    """With ``heatmap``: (H, W) float32 as NPY."""


OPTIONS: list[dict[str, Any]] = [
    {"name": "method", "in": "query", "schema": {"type": "string", "enum": list(METHODS)}},
    {"name": "class", "in": "query", "schema": {"type": "string", "pattern": "^[ -~]{1,64}$"}},
    {"name": "layer", "in": "query", "schema": {"type": "string", "pattern": "^[ -~]{1,64}$"}},
    {"name": "object", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 100_000}},
    {"name": "heatmap", "in": "query", "schema": {"type": "boolean"}},
    {"name": "image_id", "in": "query", "schema": {"type": "string", "pattern": "^[ -~]{1,64}$"}},
]


def model_parameter(*, in_path: bool) -> dict[str, Any]:
    """Which model is asked: in the path, or in the query, where it may be left away."""
    model = {"name": "model", "schema": {"type": "string"}, "description": "By default the first one served."}
    return {**model, **({"in": "path", "required": True} if in_path else {"in": "query"})}


def explain_operation(*, has_path_model: bool, problems: dict[str, str]) -> dict[str, Any]:
    """The explain route, with the model in its path or in its query.

    Args:
        has_path_model: whether the path names the model.
        problems: what may go wrong, by HTTP status.
    """
    return {
        "tags": ["explain"],
        "operationId": "explain_with_model" if has_path_model else "explain",
        "summary": "Show where the evidence for an answer lies",
        "description": "The body is one image. The answer is what is told of the explanation, the heatmap over the "
        "image as a picture, or the heatmap itself, by Accept.",
        "parameters": [model_parameter(in_path=has_path_model), *OPTIONS],
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": BINARY} for kind in ("image/jpeg", "image/png", "application/octet-stream")},
        },
        "responses": {
            "200": {
                "description": "The explanation",
                "headers": {"X-Request-Id": {"schema": {"type": "string"}}},
                "content": {
                    "application/json": {"schema": {"$ref": REF + ExplainAnswer.__name__}},
                    "image/png": {"schema": BINARY},
                    "application/x-npy": {"schema": BINARY},
                },
            },
            **{status: {"description": text, "content": PROBLEM} for status, text in problems.items()},
        },
        "security": [{}, {"bearer": []}, {"key": []}],
    }
