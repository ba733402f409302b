from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serve.answers import Answer, PredictRequest
from serve.body_budget import BodyBudget
from serve.config import ServeConfig
from serve.gate import Gate
from serve.key_file import add_key
from serve.keys import KeyRing
from serve.stream import StreamRoute
from tests.drawn_images import png_bytes
from tests.serve.held_backend import HeldBackend
from tests.serve.socket_client import SocketClient
from tests.serve.tiny_service import TinyService, tiny_service

MAX_BYTES = 10_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyService]:
    limits = {"max_image_bytes": MAX_BYTES}
    with tiny_service(tmp_path_factory.mktemp("service"), limits=limits, stream={"idle_timeout_s": 0.4}) as service:
        yield service


def picture(number: int) -> bytes:
    """A small image that is unlike others."""
    return png_bytes(number, image_hw=(8, 8))


def route_of(service: TinyService, *, backend: Any = None, **settings: Any) -> StreamRoute:
    config = ServeConfig.model_validate(service.config.model_dump() | settings)
    return StreamRoute(backend or service.backend, config, budget=BodyBudget(max_bytes=1_000_000))


async def open_stream(client: SocketClient, **hello: Any) -> dict[str, Any]:
    await client.accepted()
    client.say(type="hello", **hello)
    return await client.heard()


def test_frames_are_answered_in_order_as_predict_answers_them(service: TinyService) -> None:
    async def work() -> None:
        async with SocketClient(route_of(service)) as client:
            ready = await open_stream(client, drop="never", image_id="clip", max_in_flight=4)
            assert (ready["type"], ready["model"], ready["max_in_flight"]) == ("ready", "tiny-classification", 4)
            assert ready["max_frame_bytes"] == MAX_BYTES
            files = [picture(number) for number in range(6)]
            for file in files:
                client.send(file)
            client.say(type="end")
            results = [await client.heard() for _ in files]
            assert [result["frame"] for result in results] == list(range(6))
            for result, file in zip(results, files, strict=True):
                assert answer_of(result["prediction"]) == await predicted(service, file)
                assert result["model_digest"] == ready["model_digest"]
            assert [result["prediction"]["image_id"] for result in results][:2] == ["clip/000000", "clip/000001"]
            assert await client.heard() == {"type": "end", "frames": 6, "answered": 6, "dropped": 0}
            assert await client.close_code() == 1000

    service.run(work())


def answer_of(row: dict[str, Any]) -> dict[str, Any]:
    """What does not differ from call to call."""
    return {
        name: value for name, value in row.items() if not name.endswith("_ms") and name not in ("row_id", "image_id")
    }


async def predicted(service: TinyService, file: bytes) -> dict[str, Any]:
    answer: Answer = await service.backend.predict(PredictRequest(model="tiny-classification", image=file))
    return answer_of(dict(answer.row))


def test_a_model_that_is_slower_than_its_client_sees_the_newest_frame(service: TinyService) -> None:
    async def work() -> None:
        backend = HeldBackend(service.backend)
        async with SocketClient(route_of(service, backend=backend)) as client:
            await open_stream(client, max_in_flight=1)
            client.send(picture(0))
            await backend.until_begun(1)
            for number in range(1, 5):
                client.send(picture(number))
            client.say(type="end")
            await asyncio.sleep(0.05)
            backend.let_go(2)
            first, second, end = [await client.heard() for _ in range(3)]
            assert (first["frame"], second["frame"]) == (0, 4)
            assert second["dropped"] == 3
            assert end == {"type": "end", "frames": 5, "answered": 2, "dropped": 3}
            assert backend.begun == ["000000", "000004"]

    service.run(work())


def test_no_more_frames_are_in_flight_than_asked_for(service: TinyService) -> None:
    async def work() -> None:
        backend = HeldBackend(service.backend)
        async with SocketClient(route_of(service, backend=backend, stream={"max_in_flight": 2})) as client:
            assert (await open_stream(client, max_in_flight=5, drop="never"))["max_in_flight"] == 2
            for number in range(4):
                client.send(picture(number))
            await backend.until_begun(2)
            await asyncio.sleep(0.05)
            assert backend.begun == ["000000", "000001"]
            backend.let_go(4)
            assert [(await client.heard())["frame"] for _ in range(4)] == [0, 1, 2, 3]

    service.run(work())


def test_a_poison_frame_is_a_row_and_the_stream_goes_on(service: TinyService) -> None:
    async def work() -> None:
        async with SocketClient(route_of(service)) as client:
            await open_stream(client, drop="never")
            for file in (b"<html>", picture(1)[:60], picture(2)):
                client.send(file)
            client.say(type="end")
            statuses = [(await client.heard())["prediction"]["status"] for _ in range(3)]
            assert statuses == ["unsupported", "decode_error", "ok"]
            assert (await client.heard())["answered"] == 3

    service.run(work())


def test_options_are_those_of_predict(service: TinyService) -> None:
    async def work() -> None:
        async with SocketClient(route_of(service)) as client:
            await open_stream(client, model="tiny-segmentation", options={"mask": True, "probabilities": True})
            client.send(picture(1))
            told = await client.heard()
            assert told["mask"]["media_type"] == "image/png"
            assert set(told["probabilities"]) == {"score_map"}

    service.run(work())


def test_who_goes_takes_the_frames_along(service: TinyService) -> None:
    async def work() -> None:
        backend = HeldBackend(service.backend)
        route = route_of(service, backend=backend)
        async with SocketClient(route) as client:
            await open_stream(client, max_in_flight=2, drop="never")
            for number in range(3):
                client.send(picture(number))
            await backend.until_begun(2)
        assert sorted(backend.cancelled) == ["000000", "000001"]
        assert (route.num_open, route.budget.used_bytes) == (0, 0)

    service.run(work())


Act = Callable[[SocketClient], Awaitable[None]]


async def say_nothing(client: SocketClient) -> None:
    await asyncio.sleep(0)


def sends(*contents: str | bytes) -> Act:
    async def act(client: SocketClient) -> None:
        for content in contents:
            client.send(content)

    return act


HELLO = '{"type": "hello"}'


@pytest.mark.parametrize(
    ("act", "code", "message"),
    [
        pytest.param(say_nothing, 4408, "a message must come within 0.4 s", id="nothing comes"),
        pytest.param(sends(HELLO), 4408, "a message must come within 0.4 s", id="no frame comes"),
        pytest.param(sends(b"frame"), 4400, "the first message must be the hello", id="frame before hello"),
        pytest.param(sends("hello"), 4400, "hello must be a JSON object", id="hello that is no JSON"),
        pytest.param(sends('{"fps": 3}'), 4422, "a mistake in fps", id="unknown key"),
        pytest.param(sends('{"model": "nope"}'), 4404, "model must be one of", id="unknown model"),
        pytest.param(sends(HELLO, HELLO), 4422, "message must be one", id="second hello"),
        pytest.param(sends(HELLO, bytes(MAX_BYTES + 1)), 1009, "frame must be at most 10000 bytes", id="large frame"),
        pytest.param(
            sends('{"options": {"mask": true}}', picture(0)), 4422, "mask must be absent", id="option of another task"
        ),
    ],
)
def test_what_ends_a_stream_is_told_and_then_closed(service: TinyService, act: Act, code: int, message: str) -> None:
    async def work() -> None:
        route = route_of(service)
        async with SocketClient(route) as client:
            await client.accepted()
            await act(client)
            told = await client.heard()
            if told["type"] == "ready":
                told = await client.heard()
            assert told["type"] == "error"
            assert "frame" not in told
            assert message in told["problem"]["detail"]
            assert await client.close_code() == code
        assert route.budget.used_bytes == 0

    service.run(work())


def test_a_full_budget_refuses_a_frame_and_no_more(service: TinyService) -> None:
    async def work() -> None:
        fits = picture(1)
        route = StreamRoute(service.backend, service.config, budget=BodyBudget(max_bytes=len(fits)))
        async with SocketClient(route) as client:
            await open_stream(client, drop="never")
            for file in (bytes(len(fits) + 1), fits):
                client.send(file)
            client.say(type="end")
            refused, answered = await client.heard(), await client.heard()
            assert (refused["type"], refused["frame"], refused["problem"]["status"]) == ("error", 0, 429)
            assert answered["prediction"]["status"] == "ok"

    service.run(work())


def test_streams_are_counted(service: TinyService) -> None:
    async def work() -> None:
        route = route_of(service, stream={"max_streams": 1})
        async with SocketClient(route) as first:
            await open_stream(first)
            async with SocketClient(route) as second:
                status, problem = await second.refusal()
            assert (status, problem["title"]) == (429, "Too many requests")
        async with SocketClient(route) as third:
            assert (await open_stream(third))["type"] == "ready"

    service.run(work())


@pytest.mark.parametrize(
    ("headers", "origins", "is_welcome"),
    [
        pytest.param({"host": "a:8000"}, (), True, id="no browser"),
        pytest.param({"host": "a:8000", "origin": "http://a:8000"}, (), True, id="own page"),
        pytest.param({"host": "a:8000", "origin": "http://a"}, (), False, id="another port"),
        pytest.param({"host": "a:8000", "origin": "null"}, (), False, id="sandboxed page"),
        pytest.param({"host": "a:8000", "origin": "https://b"}, (), False, id="another page"),
        pytest.param({"host": "a:8000", "origin": "https://b"}, ("https://b",), True, id="page on the list"),
    ],
)
def test_pages_of_other_origins_are_refused(
    service: TinyService, headers: dict[str, str], origins: tuple[str, ...], is_welcome: bool
) -> None:
    async def work() -> None:
        route = route_of(service, security={"cors_origins": origins})
        async with SocketClient(route, headers=headers) as client:
            if is_welcome:
                await client.accepted()
            else:
                status, problem = await client.refusal()
                assert (status, problem["type"]) == (403, "urn:millrace:problem:forbidden")

    service.run(work())


def test_a_key_is_checked_at_the_handshake(service: TinyService, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.yaml", "reader", per_minute=None, burst=None)
    gate = Gate(route_of(service), keys=KeyRing(tmp_path / "keys.yaml"), allows_origins=False)

    async def work() -> None:
        async with SocketClient(gate) as client:
            status, problem = await client.refusal()
            assert (status, problem["title"]) == (401, "API key wanted")
        async with SocketClient(gate, headers={"authorization": f"Bearer {key[:-1]}x"}) as client:
            assert (await client.refusal())[0] == 401
        async with SocketClient(gate, headers={"authorization": f"Bearer {key}"}) as client:
            assert (await open_stream(client))["type"] == "ready"
        async with SocketClient(gate, subprotocols=("millrace.v1", f"millrace.key.{key}")) as client:
            assert (await client.accepted())["subprotocol"] == "millrace.v1"

    service.run(work())


def test_the_limit_of_a_key_counts_frames(service: TinyService, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.yaml", "reader", per_minute=1, burst=3)
    gate = Gate(route_of(service), keys=KeyRing(tmp_path / "keys.yaml"), allows_origins=False)

    async def work() -> None:
        async with SocketClient(gate, headers={"x-api-key": key}) as client:
            await open_stream(client, drop="never")
            for number in range(3):  # the handshake was the first of three
                client.send(picture(number))
            client.say(type="end")
            told = [await client.heard() for _ in range(3)]
            assert [message["type"] for message in told] == ["result", "result", "error"]
            assert told[2]["problem"]["status"] == 429
            assert told[2]["problem"]["retry_after_s"] > 0

    service.run(work())
