from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import MalformedBodyError
from serve.http_api import build_http_app
from serve.oip_json import read_body_request
from tests.drawn_images import png_bytes
from tests.serve.tiny_service import TinyService, tiny_service

CLASSIFIER, SEGMENTER = "tiny-classification", "tiny-segmentation"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyService]:
    limits = {"max_images": 4, "max_body_bytes": 500_000}
    with tiny_service(tmp_path_factory.mktemp("service"), limits=limits) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: TinyService) -> Iterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=build_http_app(service.backend, service.config))
    client = httpx.AsyncClient(transport=transport, base_url="http://service")
    yield client
    service.run(client.aclose())


def image_json(*files: bytes, **fields: Any) -> dict[str, Any]:
    data = [base64.b64encode(file).decode() for file in files]
    return {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [len(files)], "data": data}], **fields}


def binary_body(*files: bytes, **fields: Any) -> tuple[bytes, dict[str, str]]:
    """A body with binary data, and its header."""
    raw = b"".join(len(file).to_bytes(4, "little") + file for file in files)
    parameters = {"binary_data_size": len(raw)}
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(files)], "parameters": parameters}
    text = json.dumps({"inputs": [tensor], **fields}).encode()
    return text + raw, {"Inference-Header-Content-Length": str(len(text))}


def post(service: TinyService, client: httpx.AsyncClient, body: Any, *, model: str = CLASSIFIER, **kept: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.run(client.post(f"/v2/models/{model}/infer", content=content, headers=kept.get("headers")))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        (f"/v2/models/{CLASSIFIER}/ready", {"name": CLASSIFIER, "ready": True}),
    ],
)
def test_health(service: TinyService, client: httpx.AsyncClient, path: str, expected: dict[str, Any]) -> None:
    response = service.run(client.get(path))
    assert (response.status_code, response.json()) == (200, expected)


def test_metadata(service: TinyService, client: httpx.AsyncClient) -> None:
    server = service.run(client.get("/v2")).json()
    assert server["name"] == "millrace"
    assert "binary_tensor_data" in server["extensions"]
    model = service.run(client.get(f"/v2/models/{CLASSIFIER}")).json()
    assert model["platform"] == "millrace_onnx"
    assert model["inputs"] == [
        {"name": "image", "datatype": "BYTES", "shape": [-1]},
        {"name": "pixels", "datatype": "UINT8", "shape": [-1, 16, 16, 3]},
    ]
    assert {"name": "score", "datatype": "FP32", "shape": [-1, -1]} in model["outputs"]
    version = service.run(client.get(f"/v2/models/{CLASSIFIER}/versions/{model['versions'][0]}"))
    assert version.json() == model
    free = service.run(client.get(f"/v2/models/{SEGMENTER}")).json()
    assert free["inputs"][1]["shape"] == [-1, -1, -1, 3]


def test_the_index_names_all_models(service: TinyService, client: httpx.AsyncClient) -> None:
    index = service.run(client.post("/v2/repository/index")).json()
    assert [entry["name"] for entry in index] == list(service.backend.known_models())
    assert {entry["state"] for entry in index} == {"READY"}


@pytest.mark.parametrize("path", ["m", "m/ready", f"{CLASSIFIER}/versions/9", f"{CLASSIFIER}/versions/9/ready"])
def test_unknown_models_and_versions_are_not_found(service: TinyService, client: httpx.AsyncClient, path: str) -> None:
    response = service.run(client.get(f"/v2/models/{path}"))
    assert response.status_code == 404
    assert "must be" in response.json()["error"]


def test_json_in_and_out(service: TinyService, client: httpx.AsyncClient) -> None:
    response = post(service, client, image_json(png_bytes(0), png_bytes(1), id="q1"))
    answer = response.json()
    assert response.headers["content-type"] == "application/json"
    assert (answer["id"], answer["model_name"]) == ("q1", CLASSIFIER)
    assert answer["model_version"] == answer["parameters"]["model_digest"][:12]
    found = {output["name"]: output for output in answer["outputs"]}
    assert found["label"]["data"][::2] == ["red", "green"]
    assert found["class_id"]["shape"] == [2, 2]
    assert all("parameters" not in output for output in found.values())
    assert json.loads(found["row"]["data"][0])["status"] == "ok"


def test_an_answer_without_an_id_has_none(service: TinyService, client: httpx.AsyncClient) -> None:
    assert "id" not in post(service, client, image_json(png_bytes(0))).json()


def test_masks_in_json_are_pngs_as_base64(service: TinyService, client: httpx.AsyncClient) -> None:
    answer = post(service, client, image_json(png_bytes(0)), model=SEGMENTER).json()
    (mask,) = [output for output in answer["outputs"] if output["name"].startswith("mask")]
    assert (mask["name"], mask["parameters"]) == ("mask_png", {"content_type": "base64"})
    assert base64.b64decode(mask["data"][0]).startswith(b"\x89PNG")


def test_a_mask_in_json_where_it_is_asked_for(service: TinyService, client: httpx.AsyncClient) -> None:
    body = image_json(png_bytes(0), outputs=[{"name": "mask"}])
    (mask,) = post(service, client, body, model=SEGMENTER).json()["outputs"]
    assert mask["shape"] == [1, 20, 24]
    assert len(mask["data"]) == 480


def test_binary_in_and_out(service: TinyService, client: httpx.AsyncClient) -> None:
    body, headers = binary_body(png_bytes(2), parameters={"binary_data_output": True})
    response = post(service, client, body, headers=headers)
    size = int(response.headers["inference-header-content-length"])
    assert response.headers["content-type"] == "application/octet-stream"
    answer, rest = json.loads(response.content[:size]), response.content[size:]
    sizes = [output["parameters"]["binary_data_size"] for output in answer["outputs"]]
    assert sum(sizes) == len(rest)
    assert answer["outputs"][0]["name"] == "class_id"
    assert np.frombuffer(rest[: sizes[0]], "<i8")[0] == 2


def test_an_output_may_be_binary_beside_others_that_are_not(service: TinyService, client: httpx.AsyncClient) -> None:
    wanted = [{"name": "label"}, {"name": "score", "parameters": {"binary_data": True}}]
    response = post(service, client, image_json(png_bytes(0), outputs=wanted))
    size = int(response.headers["inference-header-content-length"])
    label, score = json.loads(response.content[:size])["outputs"]
    assert label["data"][0] == "red"
    assert score["parameters"] == {"binary_data_size": 8} == {"binary_data_size": len(response.content) - size}


BINARY, HEADERS = binary_body(b"x")
JSON_SIZE = int(HEADERS["Inference-Header-Content-Length"])


@pytest.mark.parametrize(
    ("body", "size", "message"),
    [
        pytest.param(b"", None, "body must be a JSON object", id="empty"),
        pytest.param(b"\xff\xd8\xff", None, "body must be a JSON object", id="an image"),
        pytest.param(b"[" * 100_000, None, "body must be a JSON object", id="nested too deep"),
        pytest.param(b"[]", None, "JSON object, got list", id="a list"),
        pytest.param({"inputs": {}}, None, "inputs must be a list of objects, got {}", id="inputs no list"),
        pytest.param({"inputs": [1]}, None, "inputs must be a list of objects", id="inputs no objects"),
        pytest.param({"id": 7}, None, "id must be a text, got 7", id="id no text"),
        pytest.param({"outputs": [{"name": 7}]}, None, "name must be a text", id="output without a name"),
        pytest.param(image_json(b"x", parameters=[]), None, "parameters must be an object", id="parameters a list"),
        pytest.param(image_json(b"x", parameters={"top_k": [1]}), None, "parameters must be", id="a parameter a list"),
        pytest.param(
            image_json(b"x", parameters={"binary_data_output": 1}), None, "must be true or false, got 1", id="no switch"
        ),
        pytest.param(
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1]}]},
            None,
            "data of input image must be a list, or binary data",
            id="no data",
        ),
        pytest.param(
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": "1", "data": []}]},
            None,
            "shape of input image must be a list of whole numbers, got '1'",
            id="shape a text",
        ),
        pytest.param(
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1.0], "data": []}]},
            None,
            "list of whole numbers, got \\[1.0\\]",
            id="shape of fractions",
        ),
        pytest.param(
            {"inputs": [{"name": "image", "parameters": {"shared_memory_region": "r"}}]},
            None,
            "got a region of shared memory",
            id="shared memory",
        ),
        pytest.param(
            {"inputs": [{"name": "image", "parameters": {"binary_data_size": -1}}]},
            None,
            "binary_data_size must be a whole number of bytes, got -1",
            id="negative size",
        ),
        pytest.param(
            image_json(b"x", outputs=[{"name": "score", "parameters": {"classification": 3}}]),
            None,
            "without classification",
            id="classification",
        ),
        pytest.param(
            image_json(b"x", outputs=[{"name": "score", "parameters": {"binary_data": "yes"}}]),
            None,
            "binary_data of output score must be true or false",
            id="binary_data a text",
        ),
        pytest.param(BINARY, None, "body must be a JSON object", id="binary data without the header"),
        pytest.param(BINARY, "9" * 18, "must be at most the body's", id="JSON longer than the body"),
        pytest.param(BINARY, "-1", "whole number of bytes, got '-1'", id="negative JSON"),
        pytest.param(BINARY, "x" * 99, "got 'x{40}'", id="header no number"),
        pytest.param(BINARY[:-1], str(JSON_SIZE), "at most the 4 bytes that are left", id="binary data cut"),
        pytest.param(BINARY + b"y", str(JSON_SIZE), "6 bytes after the JSON together, got 5", id="binary data left"),
    ],
)
def test_bodies_that_are_no_request_say_what_to_do(
    service: TinyService, client: httpx.AsyncClient, body: Any, size: str | None, message: str
) -> None:
    headers = None if size is None else {"Inference-Header-Content-Length": size}
    response = post(service, client, body, headers=headers)
    assert response.status_code == 400
    assert re.search(message, response.json()["error"])


@pytest.mark.parametrize(
    ("body", "model", "status", "message"),
    [
        pytest.param(image_json(b"junk"), CLASSIFIER, 415, "must be jpeg, png", id="no image"),
        pytest.param(image_json(png_bytes(0)[:90]), CLASSIFIER, 422, "", id="cut image"),
        pytest.param(image_json(*[b"x"] * 5), CLASSIFIER, 413, "at most 4 in one call", id="too many images"),
        pytest.param(image_json(b"x" * 400_000), CLASSIFIER, 413, "at most 500000 bytes", id="too large a body"),
        pytest.param(image_json(b"x"), "m", 404, "model must be one of", id="unknown model"),
        pytest.param(image_json(b"x"), f"{CLASSIFIER}/versions/9", 404, "version of", id="unknown version"),
        pytest.param(image_json(b"x", parameters={"n": 1}), CLASSIFIER, 400, "among top_k, timeout", id="parameter"),
        pytest.param(image_json(b"x", outputs=[{"name": "y"}]), CLASSIFIER, 400, "outputs must be among", id="output"),
    ],
)
def test_errors_have_their_status(
    service: TinyService, client: httpx.AsyncClient, body: Any, model: str, status: int, message: str
) -> None:
    response = post(service, client, body, model=model)
    assert response.status_code == status
    assert re.search(message, response.json()["error"])


def test_a_lone_bad_image_tells_its_status(service: TinyService, client: httpx.AsyncClient) -> None:
    told = post(service, client, image_json(b"junk")).json()
    assert (told["kind"], told["image_status"]) == ("bad-image", "unsupported")


def test_a_time_of_the_callers_own_counts(service: TinyService, client: httpx.AsyncClient) -> None:
    response = post(service, client, image_json(b"x"), headers={"X-Request-Timeout-Seconds": "none"})
    assert response.status_code == 400
    assert "positive number" in response.json()["error"]
    late = post(service, client, image_json(png_bytes(0)), headers={"X-Request-Timeout-Seconds": "1e-9"})
    assert (late.status_code, late.json()["kind"]) == (504, "deadline")


def test_a_body_that_is_compressed_is_refused(service: TinyService, client: httpx.AsyncClient) -> None:
    response = post(service, client, image_json(b"x"), headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415
    assert "identity" in response.json()["error"]


def test_another_method_is_refused(service: TinyService, client: httpx.AsyncClient) -> None:
    assert service.run(client.get(f"/v2/models/{CLASSIFIER}/infer")).status_code == 405


@given(body=st.binary(max_size=200), json_bytes=st.none() | st.integers(0, 250))
def test_any_bytes_are_a_request_or_refused(body: bytes, json_bytes: int | None) -> None:
    with suppress(MalformedBodyError):
        read_body_request(body, json_bytes=json_bytes, model="m", version="", request_id="")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["id", "inputs", "outputs", "parameters", "name", "shape", "datatype", "data"])


@given(fields=st.dictionaries(KEYS, JSON_VALUES | st.lists(st.dictionaries(KEYS, JSON_VALUES, max_size=5), max_size=2)))
def test_any_json_is_a_request_or_refused(fields: dict[str, Any]) -> None:
    with suppress(MalformedBodyError):
        read_body_request(json.dumps(fields).encode(), json_bytes=None, model="m", version="", request_id="")
