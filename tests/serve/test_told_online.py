"""What a package declares beside its answer is told online in every form, and only where it is declared."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from websockets.sync.client import connect

from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.results import Segmentation
from serve.answer_cache import AnswerCache
from serve.answers import Answer, PredictRequest
from serve.config import ServeConfig
from serve.model_server import ModelServer
from serve.told_columns import PLAIN_COLUMNS, told_columns
from tests.drawn_objects import drawn_package
from tests.serve.encoded_images import image_bytes
from tests.serve.http_service import HttpService, http_service
from tests.serve.tiny_service import TASKS, tiny_packages
from tests.telling_packages import declared, telling_packages
from tests.tiny_models import tiny_classifier

CLASSES, MASKS, PLAIN = "telling-classes", "telling-masks", "tiny-segmentation"
VERDICTS = ("verdict", "reasons", "priority")


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return telling_packages(tmp_path_factory.mktemp("telling"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("plain")
    boxes = drawn_package(folder / "boxes", "yolo", fit={"fit": "stretch", "size_hw": [64, 64]})
    return {**tiny_packages(folder), "detection": boxes}


@pytest.fixture(scope="module")
def service(telling: dict[str, Path], plain: dict[str, Path]) -> Iterator[HttpService]:
    folders = (telling[CLASSES], telling[MASKS], plain["segmentation"])
    models = [{"package": str(folder), "concurrent_batches": 1, "num_threads": 1} for folder in folders]
    with http_service(ServeConfig.model_validate({"models": models})) as service:
        yield service


@pytest.fixture(scope="module")
def unsure(telling: dict[str, Path]) -> NDArray[np.uint8]:
    """The uncertainties of the pixels of ``image_bytes(1)``."""
    result = Predictor.load(str(telling[MASKS]), device="cpu", num_threads=1).predict(image_bytes(1)).result
    assert isinstance(result, Segmentation)
    assert result.spread is not None
    assert result.spread.pixels is not None
    assert result.spread.pixels.any()
    return result.spread.pixels


def predict(service: HttpService, *, accept: str = "application/json", **query: Any) -> httpx.Response:
    url = f"{service.url}/v1/predict"
    return httpx.post(url, params=query, headers={"accept": accept}, content=image_bytes(1), timeout=30)


def infer(service: HttpService, model: str, *names: str) -> httpx.Response:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [base64.b64encode(image_bytes(1)).decode()]}
    sent = {"inputs": [tensor], "outputs": [{"name": name} for name in names]}
    return httpx.post(f"{service.url}/v2/models/{model}/infer", json=sent, timeout=30)


@pytest.mark.parametrize("task", [*TASKS, "detection"])
def test_a_package_that_declares_nothing_tells_nothing_more(plain: dict[str, Path], task: str) -> None:
    assert told_columns(load_package(str(plain[task])).spec) == ()
    assert set(PLAIN_COLUMNS) == {*TASKS, "detection"}


def test_the_metadata_has_what_is_declared_and_nothing_else(service: HttpService, telling: dict[str, Path]) -> None:
    found = {
        name: {output["name"]: output for output in httpx.get(f"{service.url}/v2/models/{name}").json()["outputs"]}
        for name in (CLASSES, MASKS, PLAIN)
    }
    for name in (CLASSES, MASKS):
        columns = {column.name for column in told_columns(load_package(str(telling[name])).spec)}
        assert columns > set(VERDICTS)
        assert columns < found[name].keys()
        assert not columns & found[PLAIN].keys()
    assert found[CLASSES]["prediction_set"] == {"name": "prediction_set", "datatype": "INT64", "shape": [-1, -1]}
    assert found[MASKS]["uncertainty"] == {"name": "uncertainty", "datatype": "FP32", "shape": [-1]}
    assert found[MASKS]["uncertainty_map"] == {"name": "uncertainty_map", "datatype": "UINT8", "shape": [-1, -1, -1]}
    assert "uncertainty_map" not in found[CLASSES].keys() | found[PLAIN].keys()


def test_uncertainties_of_pixels_come_as_picture_array_text_and_tensor(
    service: HttpService, unsure: NDArray[np.uint8]
) -> None:
    picture = predict(service, model=MASKS, view="uncertainty", accept="image/png")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture.content))), unsure)
    array = predict(service, model=MASKS, accept="application/x-npy; view=uncertainty")
    np.testing.assert_array_equal(np.load(io.BytesIO(array.content)), unsure)
    text = predict(service, model=MASKS, uncertainty="true").json()["uncertainty"]["data"]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))), unsure)
    (output,) = infer(service, MASKS, "uncertainty_map").json()["outputs"]
    np.testing.assert_array_equal(np.reshape(output["data"], output["shape"])[0], unsure)
    accepts = httpx.get(f"{service.url}/v1/models/{MASKS}").json()["accepts"]
    assert accepts[-2:] == ["image/png; view=uncertainty", "application/x-npy; view=uncertainty"]


@pytest.mark.parametrize("model", [CLASSES, PLAIN])
def test_a_plane_that_a_model_does_not_have_is_refused_with_what_there_is(service: HttpService, model: str) -> None:
    refused = predict(service, model=model, view="uncertainty", accept="image/png")
    assert refused.status_code == 406
    assert "accept must take one of application/json" in refused.json()["detail"]
    refused = predict(service, model=model, uncertainty="true")
    assert refused.status_code == 422
    assert "uncertainty must be absent for a model of task" in refused.json()["detail"]
    refused = infer(service, model, "status", "uncertainty_map")
    assert refused.status_code == 400
    assert "outputs must be among" in refused.json()["error"]


def test_lists_streams_and_remembered_answers_carry_the_verdict(service: HttpService) -> None:
    first = predict(service, model=CLASSES).json()["prediction"]
    again = predict(service, model=CLASSES).json()
    assert again["was_cached"]
    data = base64.b64encode(image_bytes(1)).decode()
    sent = {"model": CLASSES, "images": [{"data": data}, {"data": base64.b64encode(b"no image").decode()}]}
    good, bad = (
        entry["prediction"] for entry in httpx.post(f"{service.url}/v1/predict", json=sent).json()["predictions"]
    )
    with connect(f"{service.url.replace('http', 'ws')}/v1/stream") as stream:
        stream.send(json.dumps({"type": "hello", "model": CLASSES, "drop": "never"}))
        stream.recv()
        stream.send(image_bytes(1))
        frame = json.loads(stream.recv())["prediction"]
    assert first["verdict"] in ("review", "reject")
    assert first["reasons"]
    for row in (again["prediction"], good, frame):
        assert {name: row[name] for name in VERDICTS} == {name: first[name] for name in VERDICTS}
    assert bad["status"] == "unsupported"
    assert not set(VERDICTS) & set(bad)


@pytest.mark.parametrize(
    ("one", "other", "column"),
    [
        ({"calibration": {"temperature": 3.0}}, {"calibration": {"temperature": 1.5}}, "score"),
        ({"calibration": {"temperature": {"blue": 3.0}}}, {"calibration": {"temperature": {"red": 3.0}}}, "score"),
        (
            {"conformal": {"method": "aps", "quantile": 0.2}},
            {"conformal": {"method": "aps", "quantile": 0.999}},
            "prediction_set",
        ),
        (
            {"quality": {"rules": [{"when": {"score": {"below": 0.01}}, "verdict": "review"}]}},
            {"quality": {"rules": [{"when": {"score": {"below": 0.99}}, "verdict": "review"}]}},
            "verdict",
        ),
        ({}, {"statistics": "full"}, "brightness"),
    ],
    ids=["temperature", "class temperature", "conformal", "quality", "statistics"],
)
def test_what_decides_an_answer_keeps_it_apart_in_memory(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], column: str
) -> None:
    """Models of one name and equal weights that share what is remembered, as when a package is rolled out anew."""
    cache = AnswerCache(1 << 20)

    async def answer(folder: Path, **facts: Any) -> Answer:
        declared(tiny_classifier(folder), **facts)
        config = ServeConfig.model_validate({"models": [{"package": str(folder), "concurrent_batches": 1}]})
        server = ModelServer.load(load_package(str(folder)), config.models[0], config, cache=cache, num_cpus=1)
        try:
            return await server.predict(PredictRequest(model="", image=image_bytes(1)))
        finally:
            await server.close(timeout_s=10)

    async def work() -> tuple[Answer, Answer, Answer]:
        return (
            await answer(tmp_path / "one", **one),
            await answer(tmp_path / "other", **other),
            await answer(tmp_path / "again", **one),
        )

    first, second, again = asyncio.run(work())
    assert first.model_digest != second.model_digest
    assert first.row.get(column) != second.row.get(column)
    assert (first.was_cached, second.was_cached, again.was_cached) == (False, False, True)
    assert again.row[column] == first.row[column] if one else column not in again.row
