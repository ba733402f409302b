"""The stock client of the Open Inference Protocol against a service that really listens, HTTP and gRPC."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
from numpy.typing import NDArray
from PIL import Image
from tritonclient.utils import InferenceServerException

from inference_core.predictor import Predictor
from inference_core.results import Classification, Segmentation
from serve.listener import Addresses
from tests.drawn_images import png_bytes
from tests.serve.listening_service import listening_service
from tests.serve.tiny_service import tiny_config, tiny_packages

pytestmark = pytest.mark.integration

CLASSIFIER, SEGMENTER = "tiny-classification", "tiny-segmentation"
KINDS = ("http", "grpc")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    config = tiny_config(tmp_path_factory.mktemp("service"))
    # Six calls come at once; by default no more than five images may wait where one is worked on at a time.
    models = tuple(model.model_copy(update={"max_queue": 16}) for model in config.models)
    with listening_service(config.model_copy(update={"models": models})) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def predictors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Predictor]:
    """The same models without any service."""
    packages = tiny_packages(tmp_path_factory.mktemp("plain"))
    return {f"tiny-{task}": Predictor.load(package, device="cpu", num_threads=1) for task, package in packages.items()}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def triton(kind: str) -> Any:
    """The client's module of a transport."""
    return {"http": tritonclient.http, "grpc": tritonclient.grpc}[kind]


@pytest.fixture
def client(kind: str, triton: Any, addresses: Addresses) -> Iterator[Any]:
    with triton.InferenceServerClient(address_of(kind, addresses)) as client:
        yield client


def address_of(kind: str, addresses: Addresses) -> str:
    return addresses.url.removeprefix("http://") if kind == "http" else str(addresses.grpc_address)


def image_input(triton: Any, *files: bytes) -> Any:
    tensor = triton.InferInput("image", [len(files)], "BYTES")
    tensor.set_data_from_numpy(np.array(files, dtype=object))
    return tensor


def pixel_input(triton: Any, pixels: NDArray[np.uint8], **options: Any) -> Any:
    tensor = triton.InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, **options)
    return tensor


def rows_of(result: Any) -> list[dict[str, Any]]:
    return [json.loads(row) for row in result.as_numpy("row").tolist()]


def test_health(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(CLASSIFIER)
    assert not client.is_model_ready("m")
    assert not client.is_model_ready(CLASSIFIER, "9")


def test_metadata(kind: str, client: Any) -> None:
    options = {"as_json": True} if kind == "grpc" else {}
    assert client.get_server_metadata(**options)["name"] == "millrace"
    model = client.get_model_metadata(CLASSIFIER, **options)
    assert client.get_model_metadata(CLASSIFIER, model["versions"][0], **options) == model
    assert {tensor["name"]: tensor["datatype"] for tensor in model["inputs"]} == {"image": "BYTES", "pixels": "UINT8"}
    assert {"class_id", "score", "label", "status", "row"} <= {tensor["name"] for tensor in model["outputs"]}
    index = client.get_model_repository_index(**options)
    entries = index["models"] if kind == "grpc" else index
    assert CLASSIFIER in {entry["name"] for entry in entries}


def test_images_are_answered_as_without_a_service(triton: Any, client: Any, predictors: dict[str, Predictor]) -> None:
    files = [png_bytes(index, image_hw=(20 + index, 24)) for index in range(10)]
    result = client.infer(CLASSIFIER, [image_input(triton, *files)], request_id="q1")
    plain = [prediction.result for prediction in predictors[CLASSIFIER].predict_batch(files)]
    expected = [answer for answer in plain if isinstance(answer, Classification)]
    np.testing.assert_array_equal(result.as_numpy("class_id"), [answer.class_ids for answer in expected])
    np.testing.assert_array_equal(result.as_numpy("score"), [answer.scores for answer in expected])
    labels = [[label.encode() for label in answer.labels] for answer in expected]
    assert result.as_numpy("label").tolist() == labels
    assert [row["sha256"] for row in rows_of(result)] == [hashlib.sha256(file).hexdigest() for file in files]


def test_ids_and_parameters_come_back(kind: str, triton: Any, client: Any) -> None:
    result = client.infer(CLASSIFIER, [image_input(triton, png_bytes(0))], request_id="q1")
    response = result.get_response()
    if kind == "grpc":
        found = response.id, response.model_version, response.parameters["model_digest"].string_param
    else:
        found = response["id"], response["model_version"], response["parameters"]["model_digest"]
    assert (found[0], found[2][:12]) == ("q1", found[1])


def test_prepared_pixels(triton: Any, client: Any, predictors: dict[str, Predictor]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    result = client.infer(CLASSIFIER, [pixel_input(triton, pixels)])
    # Of an image that has the model's size already, prepare changes nothing.
    plain = [prediction.result for prediction in predictors[CLASSIFIER].predict_batch(list(pixels))]
    scores = [answer.scores for answer in plain if isinstance(answer, Classification)]
    np.testing.assert_array_equal(result.as_numpy("score"), scores)


def test_pixels_as_json(addresses: Addresses) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    with tritonclient.http.InferenceServerClient(address_of("http", addresses)) as client:
        texts = [
            client.infer(
                CLASSIFIER,
                [pixel_input(tritonclient.http, pixels, binary_data=is_binary)],
                outputs=[tritonclient.http.InferRequestedOutput("score", binary_data=is_binary)],
            )
            for is_binary in (True, False)
        ]
    binary, text = (result.as_numpy("score") for result in texts)
    np.testing.assert_array_equal(text, binary)


def test_masks(triton: Any, client: Any, predictors: dict[str, Predictor]) -> None:
    one_size = [png_bytes(0), png_bytes(1)]
    plain = [prediction.result for prediction in predictors[SEGMENTER].predict_batch(one_size)]
    masks = [answer.mask for answer in plain if isinstance(answer, Segmentation)]
    result = client.infer(SEGMENTER, [image_input(triton, *one_size)])
    np.testing.assert_array_equal(result.as_numpy("mask"), masks)
    several = client.infer(SEGMENTER, [image_input(triton, png_bytes(0), png_bytes(1, image_hw=(9, 7)))])
    assert several.as_numpy("mask") is None
    first, second = (np.asarray(Image.open(io.BytesIO(png))) for png in several.as_numpy("mask_png").tolist())
    np.testing.assert_array_equal(first, masks[0])
    assert second.shape == (9, 7)


def test_only_what_was_asked_for(triton: Any, client: Any) -> None:
    outputs = [triton.InferRequestedOutput("label"), triton.InferRequestedOutput("score")]
    inputs = [image_input(triton, png_bytes(1))]
    result = client.infer(CLASSIFIER, inputs, outputs=outputs, parameters={"top_k": 1})
    assert result.as_numpy("label").tolist() == [[b"green"]]
    assert result.as_numpy("score").shape == (1, 1)
    assert result.as_numpy("row") is None


def test_a_bad_image_among_good_ones(triton: Any, client: Any) -> None:
    result = client.infer(CLASSIFIER, [image_input(triton, png_bytes(0), b"junk", b"")])
    assert result.as_numpy("status").tolist() == [b"ok", b"unsupported", b"decode_error"]
    assert result.as_numpy("class_id")[:, 0].tolist() == [0, -1, -1]


@pytest.mark.parametrize(
    ("inputs", "options", "statuses", "message"),
    [
        pytest.param([b"junk"], {}, ("415", "INVALID_ARGUMENT"), "must be jpeg, png", id="no image"),
        pytest.param([png_bytes(0)[:60]], {}, ("422", "INVALID_ARGUMENT"), "", id="cut image"),
        pytest.param([b"x"], {"model_name": "m"}, ("404", "NOT_FOUND"), "model must be one of", id="model"),
        pytest.param([b"x"], {"model_version": "9"}, ("404", "NOT_FOUND"), "version of", id="version"),
        pytest.param([b"x"], {"parameters": {"size": 1}}, ("400", "INVALID_ARGUMENT"), "among top_k", id="parameter"),
        pytest.param([b"x"] * 33, {}, ("413", "RESOURCE_EXHAUSTED"), "at most 32", id="too many"),
    ],
)
def test_errors(
    kind: str, triton: Any, client: Any, inputs: list[bytes], options: dict[str, Any], statuses: Any, message: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(**{"model_name": CLASSIFIER, "inputs": [image_input(triton, *inputs)], **options})
    expected = statuses[0] if kind == "http" else f"StatusCode.{statuses[1]}"
    assert caught.value.status() == expected
    assert message in caught.value.message()


@pytest.mark.parametrize(
    ("shape", "datatype", "message"),
    [
        pytest.param((1, 16, 17, 3), np.uint8, "shape of input pixels must be [-1, 16, 16, 3]", id="shape"),
        pytest.param((16, 16, 3), np.uint8, "shape of input pixels", id="no batch axis"),
        pytest.param((1, 16, 16, 3), np.float32, "datatype of input pixels must be UINT8, got 'FP32'", id="datatype"),
    ],
)
def test_wrong_pixels(triton: Any, client: Any, shape: tuple[int, ...], datatype: type, message: str) -> None:
    tensor = triton.InferInput("pixels", list(shape), "UINT8" if datatype is np.uint8 else "FP32")
    tensor.set_data_from_numpy(np.zeros(shape, datatype))
    with pytest.raises(InferenceServerException, match=r"\[") as caught:
        client.infer(CLASSIFIER, [tensor])
    assert message in caught.value.message()


@pytest.mark.parametrize("kind", KINDS)
def test_the_async_client(kind: str, addresses: Addresses) -> None:
    triton = {"http": tritonclient.http, "grpc": tritonclient.grpc}[kind]

    async def ask() -> list[Any]:
        async with triton.aio.InferenceServerClient(address_of(kind, addresses)) as client:
            assert await client.is_server_ready()
            calls = [client.infer(CLASSIFIER, [image_input(triton, png_bytes(index))]) for index in range(6)]
            return [result.as_numpy("class_id")[0, 0] for result in await asyncio.gather(*calls)]

    assert asyncio.run(ask()) == [0, 1, 2, 0, 1, 2]


def test_calls_that_the_client_runs_beside_each_other(addresses: Addresses) -> None:
    with tritonclient.http.InferenceServerClient(address_of("http", addresses), concurrency=2) as client:
        waiting = [client.async_infer(CLASSIFIER, [image_input(tritonclient.http, png_bytes(i))]) for i in range(6)]
        found = [call.get_result().as_numpy("class_id")[0, 0] for call in waiting]
    assert found == [0, 1, 2, 0, 1, 2]


def test_a_stream(addresses: Addresses) -> None:
    answers: list[tuple[Any, Any]] = []
    with tritonclient.grpc.InferenceServerClient(address_of("grpc", addresses)) as client:
        client.start_stream(lambda result, error: answers.append((result, error)))
        for index in range(4):
            file = png_bytes(index) if index != 2 else b"junk"
            client.async_stream_infer(CLASSIFIER, [image_input(tritonclient.grpc, file)], request_id=str(index))
        client.stop_stream()
    labels = [None if error else result.as_numpy("class_id")[0, 0] for result, error in answers]
    assert labels == [0, 1, None, 0]
    assert "must be jpeg, png" in answers[2][1].message()


def test_images_in_plain_json(addresses: Addresses) -> None:
    """What a caller without the client sends."""
    import httpx  # only here

    data = [base64.b64encode(png_bytes(1)).decode()]
    body = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": data}]}
    answer = httpx.post(f"{addresses.url}/v2/models/{CLASSIFIER}/infer", json=body).json()
    assert answer["outputs"][2]["data"][0] == "green"
