"""What ``/openapi.json`` promises, tried out by a machine that does not know what is meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.serve.http_service import HttpService, http_service
from tests.serve.tiny_service import tiny_config

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
PREDICT_PATHS = ("/v1/predict", "/v1/models/{model}/predict")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    config = tiny_config(tmp_path_factory.mktemp("openapi"), limits={"max_images": 4})
    with http_service(config) as running:
        yield running


@pytest.fixture(scope="module")
def document(service: HttpService) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{service.url}/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def schema(service: HttpService, document: dict[str, Any]) -> Any:
    loaded = schemathesis.openapi.from_dict(document)
    loaded.config.update(base_url=service.url)
    return loaded


OPERATIONS = (
    "GET /v1/models",
    "GET /v1/models/{model}",
    "POST /v1/predict",
    "POST /v1/models/{model}/predict",
    "POST /v1/explain",
    "POST /v1/models/{model}/explain",
    "GET /healthz",
    "GET /readyz",
)


@pytest.mark.parametrize("label", OPERATIONS)
def test_nothing_breaks_and_answers_are_as_promised(schema: Any, label: str) -> None:
    method, path = label.split(" ")
    operation = schema[path][method]

    @given(case=operation.as_strategy())
    @settings(
        max_examples=100 if method == "POST" else 10,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def hold(case: Any) -> None:
        case.validate_response(case.call(), checks=CHECKS)

    hold()


def test_every_operation_is_tried(document: dict[str, Any]) -> None:
    found = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert found == set(OPERATIONS)


def test_examples_are_requests_that_work(service: HttpService, document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]["application/json"]
    for example in body["examples"].values():
        answer = httpx.post(f"{service.url}/v1/predict", json=example["value"])
        assert answer.status_code == 200, answer.text
        schema = {"$ref": "#/components/schemas/PredictAnswers", "components": document["components"]}
        jsonschema.validate(answer.json(), schema)


@pytest.mark.parametrize("path", PREDICT_PATHS)
def test_every_problem_is_told(document: dict[str, Any], path: str) -> None:
    responses = document["paths"][path]["post"]["responses"]
    assert {"400", "401", "403", "404", "406", "408", "413", "415", "422", "429", "503", "504"} <= set(responses)


def test_nothing_is_fetched_from_elsewhere(service: HttpService, document: dict[str, Any]) -> None:
    assert "://" not in json.dumps(document["info"])
    assert httpx.get(f"{service.url}/docs").status_code == 404
    assert httpx.get(f"{service.url}/redoc").status_code == 404
