from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from inference_core.explain.explainer import Explainer
from inference_core.models.package import load_package
from serve.config import ServeConfig
from serve.key_file import hash_key
from tests.explained_nets import explained_package
from tests.serve.http_service import HttpService, http_service
from tests.telling_packages import masks

PNG_TYPE = {"content-type": "image/png"}


def photo() -> bytes:
    pixels = np.random.default_rng(4).integers(0, 70, (40, 60, 3), np.uint8)
    pixels[20:32, 30:44] = 240
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explain")


def service_config(folder: Path, **settings: object) -> ServeConfig:
    deep = explained_package(folder / "deep", "deep")
    features = explained_package(folder / "features", "deep", name="features", task="embedding", classes=[])
    both = load_package(str(masks(folder / "masks")))
    models = [{"package": one.uri, "concurrent_batches": 1, "num_threads": 1} for one in (deep, features, both)]
    return ServeConfig.model_validate({"models": models, "http": {"port": 0}, "grpc": {"port": 0}, **settings})


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[HttpService]:
    with http_service(service_config(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def client(service: HttpService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=60, headers=PNG_TYPE) as opened:
        yield opened


def test_all_forms_tell_the_same(client: httpx.Client, folder: Path) -> None:
    expected = Explainer(load_package(str(folder / "deep"))).explain(photo(), method="gradcam", class_name="b")
    query = {"method": "gradcam", "class": "b", "image_id": "one"}
    json = client.post("/v1/explain", content=photo(), params=query | {"heatmap": "true"})
    array = client.post(
        "/v1/models/deep/explain", content=photo(), params=query, headers={"accept": "application/x-npy"}
    )
    picture = client.post("/v1/explain", content=photo(), params=query, headers={"accept": "image/png"})
    told = json.json()
    assert told["explanation"] == expected.facts() | {"image_id": "one", "shape": [40, 60]}
    assert told["model_digest"] == expected.model_digest
    for data in (base64.b64decode(told["heatmap"]["data"]), array.content):
        np.testing.assert_array_equal(np.load(io.BytesIO(data)), expected.heatmap)
    with Image.open(io.BytesIO(picture.content)) as opened:
        assert opened.width > 60
    assert picture.headers["x-model"] == "deep"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        pytest.param({"metod": "gradcam"}, 422, "did you mean method?", id="option"),
        pytest.param({"method": "lime"}, 422, "method must be one of auto, gradcam, saliency,", id="method"),
        pytest.param({"class": "bb"}, 422, "class: must be one of the model's 4 classes, got 'bb'", id="class"),
        pytest.param(
            {"layer": "stm"}, 422, "layer: must be a layer of the model, got 'stm'; did you mean stem", id="layer"
        ),
        pytest.param({"object": "0"}, 422, "object: must go with task detection", id="object"),
        pytest.param({"object": "-1"}, 422, "object must be a whole number from 0", id="object no number"),
        pytest.param(
            {"model": "other"}, 404, "model must be one of deep, features, telling-masks, got 'other'", id="model"
        ),
        pytest.param({"model": "features"}, 422, "got features of task embedding; ask another", id="task"),
    ],
)
def test_wishes_that_cannot_be_met(client: httpx.Client, query: dict[str, str], status: int, words: str) -> None:
    found = client.post("/v1/explain", content=photo(), params=query)
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    assert words in found.json()["detail"]


def test_members_are_explained_together_and_named_without_their_place(client: httpx.Client, folder: Path) -> None:
    found = client.post("/v1/models/telling-masks/explain", content=photo(), params={"class": "green"})
    told = found.json()["explanation"]
    assert (told["method"], told["shape"]) == ("occlusion", [40, 60])
    expected = Explainer(load_package(str(folder / "masks" / "both"))).explain(photo(), class_name="green")
    assert told["total"] == pytest.approx(expected.total)
    refused = client.post("/v1/models/telling-masks/explain", content=photo(), params={"method": "gradcam"})
    assert refused.status_code == 422
    assert "gradcam needs" in refused.json()["detail"]
    assert str(folder) not in refused.text


def test_bad_bodies_are_problems_as_of_predict(client: httpx.Client) -> None:
    broken = client.post("/v1/explain", content=photo()[:70])
    assert (broken.status_code, broken.json()["image_status"]) == (422, "decode_error")
    assert broken.json()["record"]["status"] == "decode_error"
    several = {"images": [{"data": base64.b64encode(photo()).decode()}] * 2}
    found = client.post("/v1/explain", json=several, headers={"content-type": "application/json"})
    assert (found.status_code, "one image to be explained, got 2" in found.json()["detail"]) == (422, True)
    assert client.post("/v1/explain", content=photo(), headers={"accept": "text/html"}).status_code == 406
    assert client.get("/v1/explain").status_code == 405


def test_what_is_too_much_is_told_to_come_again(folder: Path) -> None:
    config = service_config(folder, limits={"max_explaining": 1})
    with http_service(config) as running, httpx.Client(base_url=running.url, timeout=60, headers=PNG_TYPE) as client:

        def ask(_: int) -> httpx.Response:
            return client.post("/v1/explain", content=photo(), params={"method": "occlusion"})

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(ask, range(6)))
        codes = sorted(reply.status_code for reply in found)
        assert codes[0] == 200
        assert codes[-1] == 429
        refused = next(reply for reply in found if reply.status_code == 429)
        assert "explanations must be at most 1 at once" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) >= 1


def test_keys_are_asked_for_and_a_service_may_give_none(folder: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    keys.write_text(f"keys:\n- name: me\n  sha256: {hash_key('secret-key')}\n")
    config = service_config(folder, security={"keys_file": str(keys)})
    with http_service(config) as running, httpx.Client(base_url=running.url, timeout=60, headers=PNG_TYPE) as client:
        assert client.post("/v1/explain", content=photo()).status_code == 401
        found = client.post("/v1/explain", content=photo(), headers={"authorization": "Bearer secret-key"})
        assert found.json()["explanation"]["method"] == "gradcam"
    with http_service(service_config(folder, limits={"max_explaining": 0})) as running:
        assert httpx.post(f"{running.url}/v1/explain", content=photo(), headers=PNG_TYPE).status_code == 404
        assert "/v1/explain" not in httpx.get(f"{running.url}/openapi.json").json()["paths"]
