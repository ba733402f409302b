from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from inference_core.export.masks import encode_mask
from inference_core.predictor import Predictor
from inference_core.results import Segmentation
from tests.serve.http_service import BLUE, GREEN, RED, HttpService, http_service, png, two_halves
from tests.serve.tiny_service import tiny_config

TIMES = ("fetch_ms", "prepare_ms", "infer_ms", "finish_ms")
PNG_TYPE = {"content-type": "image/png"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    found = folder / "images"
    found.mkdir()
    (found / "red.png").write_bytes(png(RED))
    (found / "blue.png").write_bytes(png(BLUE))
    (folder / "secret.png").write_bytes(png(GREEN))
    (found / "way-out.png").symlink_to(folder / "secret.png")
    return found


@pytest.fixture(scope="module")
def service(folder: Path, images: Path) -> Iterator[HttpService]:
    config = tiny_config(folder / "packages", security={"storage_allow": [str(images)]}, limits={"max_images": 3})
    with http_service(config) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: HttpService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=20) as opened:
        yield opened


def as_json(*images: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"images": list(images), **options}


def as_data(data: bytes) -> dict[str, str]:
    return {"data": base64.b64encode(data).decode()}


def test_an_image_in_a_row_out(client: httpx.Client, folder: Path) -> None:
    answer = client.post("/v1/predict", params={"model": "tiny-classification"}, content=png(RED), headers=PNG_TYPE)
    assert answer.status_code == 200
    told = answer.json()
    predictor = Predictor.load(folder / "packages" / "classification", num_threads=1)
    expected = predictor.predict(png(RED), image_id="0")
    assert told["model_digest"] == expected.model_digest
    row = told["prediction"]
    assert "row_id" not in row
    assert (row["status"], row["label"], row["class_id"]) == ("ok", "red", 0)
    assert [entry["score"] for entry in row["top_k"]] == expected.result.scores.tolist()  # to the last bit
    assert row["sha256"] == expected.source.sha256
    assert told["request_id"] == answer.headers["x-request-id"]
    assert set(told["timings"]) == {*TIMES, "queue_ms", "total_ms"}


@pytest.mark.parametrize("content_type", ["image/png", "image/x-unknown; a=b", "application/octet-stream", None])
def test_the_signature_decides_whatever_the_type_of_the_image_is(
    client: httpx.Client, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    answer = client.post("/v1/models/tiny-classification/predict", content=png(BLUE), headers=headers)
    assert answer.json()["prediction"]["label"] == "blue"


def test_the_default_model_is_the_first(client: httpx.Client) -> None:
    assert client.post("/v1/predict", content=png(RED)).json()["model"] == "tiny-classification"


def test_one_file_of_a_form_is_one_image_with_options_beside_it(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/predict", files={"file": ("sky.png", png(BLUE))}, data={"top_k": "1", "model": "tiny-classification"}
    )
    row = answer.json()["prediction"]
    assert (row["image_id"], row["label"], len(row["top_k"])) == ("sky.png", "blue", 1)


def test_several_files_are_answered_in_order(client: httpx.Client) -> None:
    files = [("file", (name, data)) for name, data in (("a.png", png(BLUE)), ("b", b"no image"), ("c.png", png(RED)))]
    told = client.post("/v1/predict", files=files).json()
    assert [entry["prediction"]["status"] for entry in told["predictions"]] == ["ok", "unsupported", "ok"]
    assert [entry["prediction"].get("label") for entry in told["predictions"]] == ["blue", None, "red"]


def test_json_holds_base64_data_urls_and_uris(client: httpx.Client, images: Path) -> None:
    url = "data:image/png;base64," + as_data(png(GREEN))["data"]
    sent = as_json(as_data(png(RED)), {"data": url, "image_id": "mine"}, {"uri": str(images / "blue.png")}, top_k=1)
    told = client.post("/v1/predict", json=sent).json()
    rows = [entry["prediction"] for entry in told["predictions"]]
    assert [row["label"] for row in rows] == ["red", "green", "blue"]
    assert [row["image_id"] for row in rows] == ["0", "mine", "2"]
    assert rows[2]["uri"] == str(images / "blue.png")
    assert all(len(row["top_k"]) == 1 for row in rows)


def test_an_absent_object_is_a_row_like_a_jobs(client: httpx.Client, images: Path) -> None:
    told = client.post("/v1/predict", json=as_json({"uri": f"file://{images}/none.png"})).json()
    row = told["predictions"][0]["prediction"]
    assert row["status"] == "fetch_error"
    assert row["error"] == "uri must name an object that can be read, got none at 'none.png'; check the name"


@pytest.mark.parametrize(
    "uri",
    [
        "{folder}/secret.png",
        "{images}/../secret.png",
        "{images}/way-out.png",
        "{images}x/red.png",
        "{images}",
        "images/red.png",
        "file://localhost{images}/red.png",
        "s3://bucket/red.png",
        "https://example.org/red.png",
        "simplecache::file://{images}/red.png",
        "{images}/red.png?x=1",
        "{images}/%2e%2e/secret.png",
        "~/red.png",
    ],
)
def test_what_is_not_allowed_is_not_fetched(client: httpx.Client, folder: Path, images: Path, uri: str) -> None:
    uri = uri.format(folder=folder, images=images)
    answer = client.post("/v1/predict", json=as_json({"uri": uri}))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:millrace:problem:forbidden")


def test_a_mask_is_the_file_that_a_job_writes(client: httpx.Client, folder: Path) -> None:
    answer = client.post(
        "/v1/predict",
        params={"model": "tiny-segmentation"},
        content=two_halves(),
        headers={"accept": "text/html, image/*;q=0.8, */*;q=0.1"},
    )
    result = Predictor.load(folder / "packages" / "segmentation").predict(two_halves()).result
    assert isinstance(result, Segmentation)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == encode_mask(result.mask, num_classes=3)
    assert answer.headers["x-model"] == "tiny-segmentation"


def test_an_overlay_leaves_the_background_as_it_was(client: httpx.Client) -> None:
    answer = client.post(
        "/v1/predict",
        params={"model": "tiny-segmentation", "view": "overlay"},
        content=two_halves(),
        headers={"accept": "*/*"},
    )
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert pixels.shape == (8, 16, 3)
    assert (pixels[:, :8] == RED).all()
    assert not (pixels[:, 8:] == BLUE).all()


@pytest.mark.parametrize(
    ("model", "accept", "shape", "dtype"),
    [
        ("classification", "application/x-npy", (2, 2), "float32"),
        ("multilabel", "application/x-npy", (1, 2), "float32"),
        ("embedding", "application/x-npy", (3,), "float32"),
        ("segmentation", "application/x-npy", (8, 16), "uint8"),
        ("segmentation", "application/x-npy; view=scores", (8, 16), "uint8"),
    ],
)
def test_arrays(client: httpx.Client, model: str, accept: str, shape: tuple[int, ...], dtype: str) -> None:
    answer = client.post(f"/v1/models/tiny-{model}/predict", content=two_halves(), headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    array = np.load(io.BytesIO(answer.content))
    assert array.dtype == dtype
    assert array.shape[-len(shape) :] == shape or model == "multilabel"


def test_mask_and_scores_within_json(client: httpx.Client) -> None:
    told = client.post(
        "/v1/models/tiny-segmentation/predict?mask=true&probabilities=1", content=two_halves(), headers=PNG_TYPE
    ).json()
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["mask"]["data"]))))
    assert (mask[:, :8] == 0).all()
    assert (mask[:, 8:] == 2).all()
    scores = Image.open(io.BytesIO(base64.b64decode(told["probabilities"]["score_map"]["data"])))
    assert np.asarray(scores).min() > 200


def test_options_change_the_answer(client: httpx.Client) -> None:
    path = "/v1/models/tiny-multilabel/predict"
    counts = [
        len(client.post(path, params={"threshold": value}, content=png(RED)).json()["prediction"]["labels"])
        for value in ("0", "0.999999")
    ]
    assert counts[0] > counts[1]


def test_the_callers_own_id_comes_back(client: httpx.Client) -> None:
    sent = {"x-request-id": "mine-1", **PNG_TYPE}
    answer = client.post("/v1/predict", params={"image_id": "photo"}, content=png(RED), headers=sent)
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "mine-1"
    assert answer.json()["prediction"]["image_id"] == "photo"
    assert len(client.get("/healthz", headers={"x-request-id": "two words"}).headers["x-request-id"]) == 16


def test_answers_carry_headers_for_browsers(client: httpx.Client) -> None:
    headers = client.post("/v1/predict", content=png(RED)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_a_connection_serves_many_requests(service: HttpService) -> None:
    body = png(RED)
    request = f"POST /v1/predict HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    last = request.replace(b"Host: t", b"Host: t\r\nConnection: close")
    answer = service.talk(request * 3 + last)  # pipelined
    assert answer.status == 200
    assert answer.body.count(b'"label":"red"') == 8


def test_expect_100_continue(service: HttpService) -> None:
    body = png(RED)
    with service.connect() as connection:
        head = f"POST /v1/predict HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_models_are_told_without_paths(client: httpx.Client, folder: Path) -> None:
    answer = client.get("/v1/models")
    models = answer.json()["models"]
    assert [model["is_default"] for model in models] == [True, False, False, False]
    assert models[0]["options"]["top_k"] == {"default": 2, "minimum": 1, "maximum": 2}
    assert models[1]["accepts"][1] == "image/png; view=mask"
    assert str(folder) not in answer.text
    assert client.get("/v1/models/tiny-segmentation").json() == models[1]
    assert client.get("/v1/models/other").json()["type"] == "urn:millrace:problem:unknown-model"


def test_health(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "live"}
    assert client.get("/readyz").json()["status"] == "ready"


def test_the_page_and_the_protocol_are_there(client: httpx.Client) -> None:
    assert client.get("/").headers["content-type"].startswith("text/html")
    assert client.get("/v2/health/ready").status_code == 200
    assert json.loads(client.get("/openapi.json").content)["openapi"].startswith("3.")
