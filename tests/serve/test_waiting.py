"""Requests whose answer takes its time: given up by the client, too late, refused, or broken on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from serve.answers import Answer, PredictRequest, ServedModel
from serve.backend import Backend
from serve.config import ServeConfig
from serve.errors import OverloadedError
from serve.local_backend import LocalBackend
from tests.serve.held_backend import HeldBackend
from tests.serve.http_service import RED, HttpService, http_request, http_service, png
from tests.serve.tiny_service import tiny_config

IMAGE = png(RED)


class MoodyBackend(HeldBackend):
    """Does what an image's id says: refuses, breaks, waits, or answers."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self._real = backend

    async def predict(self, request: PredictRequest) -> Answer:
        if request.image_id.startswith("busy"):
            raise OverloadedError("queue must have room, got none; try again later", retry_after_s=7)
        if request.image_id.startswith("broken"):
            raise RuntimeError("a secret at /opt/secret in actor Inference")
        if request.image_id.startswith("held"):
            return await super().predict(request)
        return await self._real.predict(request)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    config = tiny_config(tmp_path_factory.mktemp("waiting"), limits={"timeout_s": 8, "max_held_bytes": 150_000})
    with http_service(config, build=build) as running:
        yield running


def build(config: ServeConfig) -> Backend:
    return MoodyBackend(LocalBackend.load(config, num_cpus=1))


def backend_of(service: HttpService) -> MoodyBackend:
    assert isinstance(service.backend, MoodyBackend)
    return service.backend


def until(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends_s, "it must happen"
        time.sleep(0.01)


def test_a_client_that_goes_takes_its_request_out(service: HttpService) -> None:
    backend = backend_of(service)
    with closing(service.connect()) as connection:
        request = http_request(f"Content-Length: {len(IMAGE)}", body=IMAGE)
        connection.sendall(request.replace(b"/v1/predict", b"/v1/predict?image_id=held-1", 1))
        until(lambda: "held-1" in backend.begun)
        assert "held-1" not in backend.cancelled
    until(lambda: "held-1" in backend.cancelled)


def test_a_deadline_takes_a_request_out(service: HttpService) -> None:
    begun_s = time.monotonic()
    answer = httpx.post(
        f"{service.url}/v1/predict",
        params={"image_id": "held-2"},
        content=IMAGE,
        headers={"x-request-timeout-seconds": "0.3"},
    )
    assert 0.25 < time.monotonic() - begun_s < 5
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:millrace:problem:deadline")
    assert "held-2" in backend_of(service).cancelled


def test_a_full_queue_says_when_to_come_again(service: HttpService) -> None:
    answer = httpx.post(f"{service.url}/v1/predict", params={"image_id": "busy"}, content=IMAGE)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["retry_after_s"] == 7


def test_one_refused_image_refuses_the_call_and_drops_its_others(service: HttpService) -> None:
    files = [("file", (name, IMAGE)) for name in ("held-3", "busy-3", "held-4")]
    answer = httpx.post(f"{service.url}/v1/predict", files=files)
    assert answer.status_code == 429
    until(lambda: {"held-3"} <= set(backend_of(service).cancelled))


def test_a_mistake_of_ours_tells_an_id_and_no_more(service: HttpService, caplog: pytest.LogCaptureFixture) -> None:
    answer = httpx.post(f"{service.url}/v1/predict", params={"image_id": "broken"}, content=IMAGE)
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:millrace:problem:internal")
    assert "secret" not in answer.text
    assert "Inference" not in answer.text
    request_id = answer.json()["request_id"]
    assert request_id in answer.json()["detail"]
    assert [record.message for record in caplog.records] == [f"request {request_id} failed"]
    assert "secret at /opt/secret" in caplog.text  # the log has the rest


def test_bytes_of_all_bodies_together_are_limited(service: HttpService) -> None:
    body = IMAGE + bytes(100_000)

    def post(name: str) -> httpx.Response:
        soon = {"x-request-timeout-seconds": "1.5"}
        return httpx.post(f"{service.url}/v1/predict", params={"image_id": name}, content=body, headers=soon)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, "held-5")
        until(lambda: "held-5" in backend_of(service).begun)
        second = post("6")
        assert (second.status_code, second.headers["retry-after"]) == (429, "1")
        assert "holds as many bytes" in second.json()["detail"]
        assert httpx.post(f"{service.url}/v1/predict", content=IMAGE).status_code == 200
        assert first.result().status_code == 504  # nobody let it go
    assert post("7").status_code == 200


def test_a_service_that_stops_finishes_what_it_accepted(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        with http_service(tiny_config(tmp_path)) as service:
            url = f"{service.url}/v1/predict"
            answers = [pool.submit(httpx.post, url, content=png((index, 0, 0)), timeout=20) for index in range(4)]
            until(lambda: any(answer.done() for answer in answers))
        statuses = {answer.result().status_code for answer in answers if answer.exception() is None}
    assert statuses == {200}


def test_an_unready_model_makes_the_service_unready(tmp_path: Path) -> None:
    class Loading(MoodyBackend):
        async def models(self) -> Sequence[ServedModel]:
            return [replace(model, is_ready=False) for model in await super().models()]

    with http_service(
        tiny_config(tmp_path), build=lambda config: Loading(LocalBackend.load(config, num_cpus=1))
    ) as service:
        answer = httpx.get(f"{service.url}/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
