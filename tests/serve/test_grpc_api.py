from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest

from inference_core.records import Uint8Array
from serve.answers import PredictRequest
from serve.errors import InternalError, UnauthorizedError, UnavailableError
from serve.grpc_api import SERVICE, GrpcServer, build_grpc_server
from serve.keys import KeyUse
from serve.protos import open_inference_pb2 as messages
from serve.rate_limit import TokenBucket
from tests.drawn_images import png_bytes
from tests.serve.tiny_service import TinyService, tiny_config, tiny_service

CLASSIFIER, SEGMENTER = "tiny-classification", "tiny-segmentation"
MAX_BODY_BYTES = 300_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyService]:
    settings: dict[str, Any] = {
        "limits": {"max_images": 4, "max_body_bytes": MAX_BODY_BYTES, "max_image_bytes": 50_000},
        "http": {"port": 0, "body_timeout_s": 0.3},
    }
    with tiny_service(tmp_path_factory.mktemp("service"), **settings) as service:
        yield service


@pytest.fixture(scope="module")
def server(service: TinyService) -> Iterator[GrpcServer]:
    async def start() -> GrpcServer:
        server = build_grpc_server(service.backend, service.config)
        await server.start()
        return server

    server = service.run(start())
    yield server
    service.run(server.stop(1))


@pytest.fixture(scope="module")
def channel(service: TinyService, server: GrpcServer) -> Iterator[grpc.aio.Channel]:
    async def connect() -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")

    channel = service.run(connect())
    yield channel
    service.run(channel.close())


def call(service: TinyService, channel: grpc.aio.Channel, name: str, request: Any = None, **kept: Any) -> Any:
    """One call by its name; the answer's class is that of the name."""
    answers = {"ModelInfer": messages.ModelInferResponse}
    answer = answers.get(name) or getattr(messages, f"{name}Response")
    request = request or getattr(messages, f"{name}Request")()

    async def ask() -> Any:
        method = channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return await method(request, **kept)

    return service.run(ask())


def images(*files: bytes, model: str = CLASSIFIER, **fields: Any) -> Any:
    raw = b"".join(len(file).to_bytes(4, "little") + file for file in files)
    request = messages.ModelInferRequest(model_name=model, raw_input_contents=[raw], **fields)
    request.inputs.add(name="image", datatype="BYTES", shape=[len(files)])
    return request


def values(response: Any, name: str) -> Any:
    index = [output.name for output in response.outputs].index(name)
    output, raw = response.outputs[index], response.raw_output_contents[index]
    if output.datatype != "BYTES":
        dtype = {"INT64": "<i8", "FP32": "<f4", "UINT8": "u1"}[output.datatype]
        return np.frombuffer(raw, dtype).reshape(output.shape)
    found = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        found.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    return found


def refused(work: Callable[[], Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        work()
    return caught.value


def test_health_and_metadata(service: TinyService, channel: grpc.aio.Channel) -> None:
    assert call(service, channel, "ServerLive").live
    assert call(service, channel, "ServerReady").ready
    assert call(service, channel, "ModelReady", messages.ModelReadyRequest(name=CLASSIFIER)).ready
    assert not call(service, channel, "ModelReady", messages.ModelReadyRequest(name="m")).ready
    assert call(service, channel, "ServerMetadata").name == "millrace"
    model = call(service, channel, "ModelMetadata", messages.ModelMetadataRequest(name=SEGMENTER))
    assert [(tensor.name, list(tensor.shape)) for tensor in model.inputs] == [
        ("image", [-1]),
        ("pixels", [-1, -1, -1, 3]),
    ]
    assert "mask" in {tensor.name for tensor in model.outputs}
    index = call(service, channel, "RepositoryIndex")
    assert [entry.name for entry in index.models] == list(service.backend.known_models())


def test_images_are_answered(service: TinyService, channel: grpc.aio.Channel) -> None:
    response = call(service, channel, "ModelInfer", images(png_bytes(0), b"junk", png_bytes(2), id="q1"))
    assert (response.id, response.model_name) == ("q1", CLASSIFIER)
    assert values(response, "class_id")[:, 0].tolist() == [0, -1, 2]
    assert values(response, "status") == [b"ok", b"unsupported", b"ok"]
    assert json.loads(values(response, "row")[2])["image_id"] == "2"
    assert response.parameters["model_digest"].string_param.startswith(response.model_version)


@pytest.mark.parametrize("is_raw", [True, False], ids=["raw", "typed"])
def test_prepared_pixels_are_answered(service: TinyService, channel: grpc.aio.Channel, is_raw: bool) -> None:
    tiles: Uint8Array = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    request = messages.ModelInferRequest(model_name=CLASSIFIER)
    tensor = request.inputs.add(name="pixels", datatype="UINT8", shape=tiles.shape)
    if is_raw:
        request.raw_input_contents.append(tiles.tobytes())
    else:
        tensor.contents.uint_contents.extend(tiles.ravel().tolist())
    found = values(call(service, channel, "ModelInfer", request), "score")
    plain = [service.run(service.backend.predict(PredictRequest(model=CLASSIFIER, image=tile[None]))) for tile in tiles]
    np.testing.assert_array_equal(found, [answer.prediction.result.scores for answer in plain])


def test_typed_images_outputs_and_parameters(service: TinyService, channel: grpc.aio.Channel) -> None:
    request = messages.ModelInferRequest(model_name=CLASSIFIER)
    tensor = request.inputs.add(name="image", datatype="BYTES", shape=[1, 1])
    tensor.contents.bytes_contents.append(png_bytes(1))
    request.outputs.add(name="label")
    request.parameters["top_k"].int64_param = 1
    response = call(service, channel, "ModelInfer", request)
    assert [output.name for output in response.outputs] == ["label"]
    assert values(response, "label") == [b"green"]


def test_masks(service: TinyService, channel: grpc.aio.Channel) -> None:
    response = call(service, channel, "ModelInfer", images(png_bytes(1), model=SEGMENTER))
    plain = service.run(service.backend.predict(PredictRequest(model=SEGMENTER, image=png_bytes(1))))
    np.testing.assert_array_equal(values(response, "mask")[0], plain.prediction.result.mask)


def unvalued() -> Any:
    request = images(b"x")
    request.parameters["top_k"].SetInParent()
    return request


def shared() -> Any:
    request = messages.ModelInferRequest(model_name=CLASSIFIER)
    tensor = request.inputs.add(name="image", datatype="BYTES", shape=[1])
    tensor.parameters["shared_memory_region"].string_param = "r"
    return request


def classified() -> Any:
    request = images(b"x")
    request.outputs.add(name="score").parameters["classification"].int64_param = 3
    return request


def half_raw() -> Any:
    request = images(b"x")
    request.inputs.add(name="pixels", datatype="UINT8", shape=[1, 16, 16, 3])
    return request


@pytest.mark.parametrize(
    ("request_", "code", "message"),
    [
        pytest.param(images(b"x", model="m"), "NOT_FOUND", "model must be one of", id="unknown model"),
        pytest.param(images(b"x", model_version="9"), "NOT_FOUND", "version of", id="unknown version"),
        pytest.param(images(b"junk"), "INVALID_ARGUMENT", "must be jpeg, png", id="no image"),
        pytest.param(images(*[b"x"] * 5), "RESOURCE_EXHAUSTED", "at most 4 in one call", id="too many images"),
        pytest.param(images(b"x" * 60_000), "RESOURCE_EXHAUSTED", "at most 50000 bytes", id="too large an image"),
        pytest.param(unvalued(), "INVALID_ARGUMENT", "parameter 'top_k' must have a value", id="no value"),
        pytest.param(shared(), "INVALID_ARGUMENT", "got a region of shared memory", id="shared memory"),
        pytest.param(classified(), "INVALID_ARGUMENT", "without classification", id="classification"),
        pytest.param(half_raw(), "INVALID_ARGUMENT", "one entry for each of 2 inputs, got 1", id="half raw"),
        pytest.param(messages.ModelInferRequest(model_name=CLASSIFIER), "INVALID_ARGUMENT", "got 0 inputs", id="none"),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(
    service: TinyService, channel: grpc.aio.Channel, request_: Any, code: str, message: str
) -> None:
    error = refused(lambda: call(service, channel, "ModelInfer", request_))
    assert error.code() == grpc.StatusCode[code]
    assert message in error.details()


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip], ids=["plain", "a bomb"])
def test_a_message_over_the_limit_is_refused_unread(
    service: TinyService, channel: grpc.aio.Channel, compression: grpc.Compression | None
) -> None:
    large = images(b"x" * (MAX_BODY_BYTES + 100_000))
    error = refused(lambda: call(service, channel, "ModelInfer", large, compression=compression))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "message larger than max" in error.details()


def test_a_lone_bad_image_tells_its_status(service: TinyService, channel: grpc.aio.Channel) -> None:
    error = refused(lambda: call(service, channel, "ModelInfer", images(b"junk")))
    assert dict(error.trailing_metadata())["millrace-status"] == "unsupported"
    assert dict(error.trailing_metadata())["millrace-error"] == "bad-image"


def test_a_stream_answers_in_order_and_goes_on_after_an_error(service: TinyService, channel: grpc.aio.Channel) -> None:
    last = images(png_bytes(2), id="3")
    last.parameters["triton_enable_empty_final_response"].bool_param = True

    async def ask() -> list[Any]:
        method = channel.stream_stream(
            f"/{SERVICE}/ModelStreamInfer",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=messages.ModelStreamInferResponse.FromString,
        )
        requests = [images(png_bytes(0), id="1"), images(b"junk", id="2"), last]
        return [response async for response in method(iter(requests))]

    first, bad, final = service.run(ask())
    assert [response.infer_response.id for response in (first, bad, final)] == ["1", "2", "3"]
    assert (first.error_message, "must be jpeg, png" in bad.error_message) == ("", True)
    assert values(final.infer_response, "class_id")[0, 0] == 2
    assert final.infer_response.parameters["triton_final_response"].bool_param


@pytest.mark.parametrize("ends", [False, True], ids=["nothing comes", "it ends"])
def test_a_call_without_a_message_is_not_waited_for(
    service: TinyService, channel: grpc.aio.Channel, ends: bool
) -> None:
    async def silence() -> AsyncIterator[Any]:
        if not ends:
            await asyncio.sleep(60)
        return
        yield

    async def ask() -> None:
        await channel.stream_unary(f"/{SERVICE}/ServerLive")(silence())

    error = refused(lambda: service.run(ask()))
    expected = grpc.StatusCode.INVALID_ARGUMENT if ends else grpc.StatusCode.DEADLINE_EXCEEDED
    assert (error.code(), "message" in error.details()) == (expected, True)


class Failing:
    """A backend that refuses every image with the same error, or waits until it is cancelled."""

    def __init__(self, service: TinyService, error: Exception | None) -> None:
        self._backend = service.backend
        self._error = error
        self.was_cancelled = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def predict(self, request: PredictRequest) -> Any:
        if self._error is not None:
            raise self._error
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


def ask_failing(service: TinyService, backend: Any, *, authorize: Any = None, **kept: Any) -> None:
    """One request to a server of its own."""

    async def start() -> tuple[GrpcServer, grpc.aio.Channel]:
        server = build_grpc_server(backend, service.config, authorize=authorize)
        await server.start()
        return server, grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")

    server, channel = service.run(start())
    try:
        name = kept.pop("name", "ModelInfer")
        call(service, channel, name, images(b"x", b"y") if name == "ModelInfer" else None, **kept)
    finally:
        service.run(channel.close())
        service.run(server.stop(0.2))


def test_errors_of_the_backend_keep_their_meaning(service: TinyService) -> None:
    busy: Any = Failing(service, UnavailableError("model must be loaded, but is not; try again", retry_after_s=3))
    error = refused(lambda: ask_failing(service, busy))
    assert (error.code(), error.details()[:20]) == (grpc.StatusCode.UNAVAILABLE, "model must be loaded")
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "3000"


@pytest.mark.parametrize("mistake", [KeyError("/secret/path"), InternalError("said already")], ids=["any", "ours"])
def test_a_mistake_of_ours_tells_no_more_than_an_id(
    service: TinyService, mistake: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    failing: Any = Failing(service, mistake)
    error = refused(lambda: ask_failing(service, failing))
    assert error.code() == grpc.StatusCode.INTERNAL
    assert "secret" not in error.details()
    if isinstance(mistake, KeyError):
        assert error.details().rpartition(" ")[2] in caplog.text


def test_a_deadline_of_the_caller_takes_its_images_out_of_the_queue(service: TinyService) -> None:
    waiting: Any = Failing(service, None)
    error = refused(lambda: ask_failing(service, waiting, timeout=0.3))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert waiting.was_cancelled


def authorize(metadata: Any) -> KeyUse:
    if dict(metadata).get("authorization") != "Bearer good":
        raise UnauthorizedError("API key must be one that this service knows, got another; check it")
    bucket = TokenBucket(per_minute=1, burst=1)
    bucket.take(1)  # the request itself; nothing is left for a second image
    return KeyUse(name="a", bucket=bucket)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [(None, "UNAUTHENTICATED"), ((("authorization", "Bearer good"),), "RESOURCE_EXHAUSTED")],
    ids=["no key", "two images are too many"],
)
def test_keys_are_asked_for_and_images_counted(service: TinyService, metadata: Any, code: str) -> None:
    error = refused(lambda: ask_failing(service, service.backend, authorize=authorize, metadata=metadata))
    assert error.code() == grpc.StatusCode[code]


@pytest.mark.parametrize("name", ["ServerLive", "ServerReady"])
def test_health_needs_no_key(service: TinyService, name: str) -> None:
    ask_failing(service, service.backend, authorize=authorize, name=name)


@pytest.mark.parametrize("name", ["ServerMetadata", "ModelMetadata", "ModelReady", "RepositoryIndex"])
def test_all_else_needs_one(service: TinyService, name: str) -> None:
    error = refused(lambda: ask_failing(service, service.backend, authorize=authorize, name=name))
    assert error.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_port_that_is_taken_is_refused(service: TinyService, server: GrpcServer, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, grpc={"port": server.port})

    async def build() -> None:
        build_grpc_server(service.backend, config)

    with pytest.raises(UnavailableError, match=r"grpc\.port must be free"):
        service.run(build())
