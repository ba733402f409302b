from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from inference_core.records import Uint8Array
from serve.answers import Answer, PredictRequest, ServedModel
from serve.backend import Backend
from serve.config import RequestLimits
from serve.errors import (
    BadImageError,
    BodyTooLargeError,
    DeadlineError,
    InvalidRequestError,
    OverloadedError,
    ServeError,
    UnknownModelError,
)
from serve.oip import InferenceReply, InferenceRequest, infer
from serve.oip_metadata import lazy_models
from serve.oip_tensors import GivenTensor
from serve.predict_images import MAX_UNDER_WAY
from tests.drawn_images import png_bytes
from tests.serve.tiny_service import TASKS, TinyService, tiny_config, tiny_service

LIMITS = RequestLimits(max_images=12, max_image_bytes=100_000)
CLASSIFIER, SEGMENTER = "tiny-classification", "tiny-segmentation"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyService]:
    with tiny_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def image(*files: bytes, shape: tuple[int, ...] | None = None, datatype: str = "BYTES") -> GivenTensor:
    return GivenTensor(
        name="image", datatype=datatype, shape=(len(files),) if shape is None else shape, values=list(files)
    )


def pixels(array: Uint8Array, *, shape: Sequence[int] | None = None, datatype: str = "UINT8") -> GivenTensor:
    return GivenTensor(name="pixels", datatype=datatype, shape=tuple(shape or array.shape), values=array.tobytes())


def ask(service: TinyService, *inputs: GivenTensor, model: str = CLASSIFIER, **fields: Any) -> InferenceReply:
    request = InferenceRequest(model=model, inputs=inputs, **fields)
    return service.run(infer(service.backend, request, limits=LIMITS, deadline_s=time.time() + 30))


def outputs(reply: InferenceReply) -> dict[str, Any]:
    return {tensor.name: tensor.values for tensor in reply.tensors()}


def own_pixels(service: TinyService, index: int, *, side_px: int = 16) -> Uint8Array:
    return np.random.default_rng(index).integers(0, 256, (side_px, side_px, 3)).astype(np.uint8)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers_what_the_backend_answers(service: TinyService, task: str) -> None:
    reply = ask(service, image(png_bytes(1)), model=f"tiny-{task}")
    request = PredictRequest(model=f"tiny-{task}", image=png_bytes(1), image_id="0")
    plain = service.run(service.backend.predict(request))
    row = json.loads(outputs(reply)["row"][0])
    timings = {name for name in row if name.endswith("_ms")}
    expected = json.loads(json.dumps({key: value for key, value in plain.row.items() if key != "row_id"}))
    assert {key: row[key] for key in row.keys() - timings} == {key: expected[key] for key in expected.keys() - timings}
    assert reply.parameters()["model_digest"] == plain.model_digest


def test_several_images_come_in_their_order(service: TinyService) -> None:
    found = outputs(ask(service, image(*(png_bytes(index) for index in range(12)))))
    assert [label.decode() for label in found["label"][::2]] == ["red", "green", "blue"] * 4
    assert [json.loads(row)["image_id"] for row in found["row"]] == [str(index) for index in range(12)]


def test_a_bad_image_among_several_has_a_status(service: TinyService) -> None:
    found = outputs(ask(service, image(png_bytes(0), b"junk", png_bytes(2))))
    assert found["status"] == [b"ok", b"unsupported", b"ok"]
    assert found["class_id"][:, 0].tolist() == [0, -1, 2]
    assert b"must be jpeg, png" in found["error"][1]


def test_a_lone_bad_image_is_an_error_with_its_record(service: TinyService) -> None:
    with pytest.raises(BadImageError, match="must be jpeg, png") as caught:
        ask(service, image(b"junk"))
    assert caught.value.status == "unsupported"
    assert caught.value.record["size_bytes"] == 4


def test_images_may_have_an_axis_of_their_own(service: TinyService) -> None:
    found = outputs(ask(service, image(png_bytes(0), png_bytes(1), shape=(2, 1))))
    assert found["class_id"][:, 0].tolist() == [0, 1]


def test_prepared_pixels_are_answered_like_the_image_that_they_are_of(service: TinyService) -> None:
    tiles = np.stack([own_pixels(service, index) for index in range(3)])
    found = outputs(ask(service, pixels(tiles)))
    plain = [service.run(service.backend.predict(PredictRequest(model=CLASSIFIER, image=tile[None]))) for tile in tiles]
    assert found["class_id"].tolist() == [answer.prediction.result.class_ids.tolist() for answer in plain]
    assert found["status"] == [b"ok"] * 3


@pytest.mark.parametrize(
    ("parameters", "num_classes"), [({}, 2), ({"top_k": 1}, 1), ({"timeout": 20_000_000}, 2)], ids=str
)
def test_parameters_are_options(service: TinyService, parameters: dict[str, Any], num_classes: int) -> None:
    found = outputs(ask(service, image(png_bytes(1)), parameters=parameters))
    assert found["class_id"].shape == (1, num_classes)


@pytest.mark.parametrize("threshold", [0.999, "0.999"], ids=["number", "text"])
def test_a_threshold_decides(service: TinyService, threshold: float | str) -> None:
    all_shown = outputs(ask(service, image(png_bytes(1)), model="tiny-multilabel", parameters={"threshold": 0.001}))
    none_shown = outputs(
        ask(service, image(png_bytes(1)), model="tiny-multilabel", parameters={"threshold": threshold})
    )
    assert all_shown["num"].tolist() == [3]
    assert none_shown["num"].tolist() == [0]


def test_a_mask_is_one_tensor_and_scores_come_only_where_asked(service: TinyService) -> None:
    found = outputs(ask(service, image(png_bytes(0), png_bytes(1)), model=SEGMENTER))
    assert found["mask"].shape == (2, 20, 24)
    assert "score_map" not in found
    asked = outputs(ask(service, image(png_bytes(0)), model=SEGMENTER, output_names=["score_map"]))
    assert asked["score_map"].shape == (1, 20, 24)
    assert asked["score_map"].max() > 0


def test_a_version_may_be_named(service: TinyService) -> None:
    model = service.run(service.backend.model(CLASSIFIER))
    assert ask(service, image(png_bytes(0)), version=model.version).model == model


GOOD = np.zeros((1, 16, 16, 3), np.uint8)


@pytest.mark.parametrize(
    ("inputs", "fields", "error", "message"),
    [
        pytest.param([image(b"x")], {"model": "m"}, UnknownModelError, "model must be one of", id="unknown model"),
        pytest.param([image(b"x")], {"version": "9"}, UnknownModelError, "version of tiny-class", id="unknown version"),
        pytest.param([], {}, InvalidRequestError, "got 0 inputs; send exactly one", id="no input"),
        pytest.param([image(b"x"), pixels(GOOD)], {}, InvalidRequestError, "got 2 inputs", id="both inputs"),
        pytest.param([image(b"x"), image(b"x")], {}, InvalidRequestError, "got 2 inputs", id="one twice"),
        pytest.param(
            [GivenTensor(name="input", datatype="BYTES", shape=(1,), values=[b""])],
            {},
            InvalidRequestError,
            "inputs must be among image, pixels, got 'input'",
            id="unknown input",
        ),
        pytest.param(
            [image(b"x", datatype="UINT8")],
            {},
            InvalidRequestError,
            "datatype of input image must be BYTES, got 'UINT8'; send the bytes of image files",
            id="image of numbers",
        ),
        pytest.param(
            [pixels(GOOD, datatype="FP32")],
            {},
            InvalidRequestError,
            "datatype of input pixels must be UINT8, got 'FP32'; send prepared pixels, not normalised",
            id="normalised pixels",
        ),
        pytest.param([image(shape=(0,))], {}, InvalidRequestError, r"\[-1\] or \[-1, 1\], .* got \[0\]", id="no image"),
        pytest.param([image(b"x", shape=())], {}, InvalidRequestError, r"got \[\]; the first axis", id="no axis"),
        pytest.param([image(b"x", shape=(1, 2))], {}, InvalidRequestError, r"got \[1, 2\]", id="second axis"),
        pytest.param([image(b"x", shape=(-1,))], {}, InvalidRequestError, r"got \[-1\]", id="negative size"),
        pytest.param([image(b"x", shape=(2,))], {}, InvalidRequestError, "must be 2 elements", id="too few elements"),
        pytest.param(
            [pixels(GOOD, shape=(1, 16, 17, 3))], {}, InvalidRequestError, r"\[-1, 16, 16, 3\]", id="other size"
        ),
        pytest.param([pixels(GOOD, shape=(1, 16, 16, 1))], {}, InvalidRequestError, "shape of input", id="gray"),
        pytest.param([pixels(GOOD, shape=(16, 16, 3))], {}, InvalidRequestError, "shape of input", id="no batch axis"),
        pytest.param([pixels(GOOD, shape=(2, 16, 16, 3))], {}, InvalidRequestError, "1536 bytes", id="too few bytes"),
        pytest.param(
            [pixels(GOOD, shape=(1, 2**62, 2**62, 3))],
            {"model": SEGMENTER},
            InvalidRequestError,
            "bytes for shape",
            id="product beyond 64 bits",
        ),
        pytest.param(
            [pixels(np.zeros((1, 8, 12, 3), np.uint8))],
            {"model": SEGMENTER},
            InvalidRequestError,
            "multiples of 8, got 8 x 12; pad them",
            id="no multiple",
        ),
        pytest.param([image(*[b"x"] * 13)], {}, BodyTooLargeError, "at most 12 in one call", id="too many images"),
        pytest.param([image(b"x" * 100_001)], {}, BodyTooLargeError, "at most 100000 bytes", id="too large an image"),
        pytest.param(
            [image(shape=(2**63,))], {}, BodyTooLargeError, "at most 12 in one call", id="far too many images"
        ),
        pytest.param(
            [image(b"x")],
            {"parameters": {"threshold": 0.5}},
            InvalidRequestError,
            "parameters must be among top_k, timeout for model tiny-classification, got 'threshold'; remove it",
            id="parameter of others",
        ),
        pytest.param(
            [image(b"x")], {"parameters": {"top_k": 3}}, InvalidRequestError, "from 1 to 2", id="top_k out of range"
        ),
        pytest.param(
            [image(b"x")],
            {"parameters": {"top_k": True}},
            InvalidRequestError,
            "whole number, got True",
            id="no number",
        ),
        pytest.param(
            [image(b"x")],
            {"parameters": {"threshold": "nan"}, "model": "tiny-multilabel"},
            InvalidRequestError,
            "threshold must be a number, got 'nan'",
            id="threshold is none",
        ),
        pytest.param(
            [image(b"x")],
            {"parameters": {"threshold": False}, "model": "tiny-multilabel"},
            InvalidRequestError,
            "threshold must be a number, got False",
            id="threshold is false",
        ),
        pytest.param(
            [image(b"x")],
            {"parameters": {"timeout": 0}},
            InvalidRequestError,
            "microseconds from 1, got 0",
            id="no time",
        ),
        pytest.param(
            [image(b"x")],
            {"output_names": ["mask"]},
            InvalidRequestError,
            "outputs must be among class_id",
            id="output",
        ),
    ],
)
def test_what_cannot_be_answered_says_what_to_do(
    service: TinyService, inputs: list[GivenTensor], fields: dict[str, Any], error: type[ServeError], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask(service, *inputs, **fields)


class Waiting:
    """A backend whose answers never come, and that counts who waits."""

    def __init__(self, backend: Backend, *, refuses: str = "") -> None:
        self._backend = backend
        self._refuses = refuses
        self.num_waiting = 0
        self.most_waiting = 0

    async def model(self, name: str, *, version: str = "") -> ServedModel:
        return await self._backend.model(name, version=version)

    async def predict(self, request: PredictRequest) -> Answer:
        self.num_waiting += 1
        self.most_waiting = max(self.most_waiting, self.num_waiting)
        try:
            await asyncio.sleep(0.01 if request.image_id == self._refuses else 60)
        finally:
            self.num_waiting -= 1
        raise OverloadedError("queue must have room, got none; try again later", retry_after_s=1)


def many_images(count: int, **fields: Any) -> InferenceRequest:
    return InferenceRequest(model=CLASSIFIER, inputs=[image(*[b"x"] * count)], **fields)


def test_images_wait_together_but_not_more_than_some(service: TinyService) -> None:
    waiting: Any = Waiting(service.backend)
    with pytest.raises(DeadlineError, match="before the request's deadline"):
        service.run(infer(waiting, many_images(12), limits=LIMITS, deadline_s=time.time() + 0.1))
    assert waiting.most_waiting == MAX_UNDER_WAY
    assert waiting.num_waiting == 0


def test_the_parameter_timeout_brings_the_deadline_forward(service: TinyService) -> None:
    waiting: Any = Waiting(service.backend)
    request = many_images(1, parameters={"timeout": 50_000})
    with pytest.raises(DeadlineError):
        service.run(infer(waiting, request, limits=LIMITS, deadline_s=time.time() + 3600))
    assert waiting.num_waiting == 0


def test_one_that_is_refused_takes_the_others_out_of_the_queue(service: TinyService) -> None:
    waiting: Any = Waiting(service.backend, refuses="3")

    async def ask_and_look() -> int:
        with pytest.raises(OverloadedError):
            await infer(waiting, many_images(12), limits=LIMITS, deadline_s=time.time() + 3600)
        await asyncio.sleep(0.05)
        return int(waiting.num_waiting)

    assert service.run(ask_and_look()) == 0


def test_a_caller_who_goes_takes_all_out_of_the_queue(service: TinyService) -> None:
    waiting: Any = Waiting(service.backend)

    async def ask_and_go() -> int:
        task = asyncio.ensure_future(infer(waiting, many_images(3), limits=LIMITS, deadline_s=time.time() + 3600))
        while waiting.num_waiting < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        return int(waiting.num_waiting)

    assert service.run(ask_and_go()) == 0


def test_who_charges_is_told_how_many_and_may_refuse(service: TinyService) -> None:
    told: list[int] = []

    def charge(count: int) -> None:
        told.append(count)
        raise OverloadedError("enough")

    with pytest.raises(OverloadedError, match="enough"):
        service.run(infer(service.backend, many_images(5), limits=LIMITS, deadline_s=time.time() + 9, charge=charge))
    assert told == [5]


def test_models_that_load_with_their_first_request_are_known(
    service: TinyService, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tiny_config(tmp_path_factory.mktemp("lazy"))
    assert lazy_models(service.backend, config) == frozenset()
    last = config.models[-1].model_copy(update={"is_lazy": True})
    lazy = config.model_copy(update={"models": (*config.models[:-1], last)})
    assert lazy_models(service.backend, lazy) == {"tiny-embedding"}
