from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.models.package import load_package
from inference_core.pipeline import build_preparer
from inference_core.predictor import Predictor
from serve.answer_cache import AnswerCache
from serve.answers import Answer, Options, PredictRequest
from serve.config import ServeConfig
from serve.errors import DeadlineError, InternalError, InvalidRequestError, OverloadedError, UnavailableError
from serve.inference import Inference
from serve.model_facts import describe_model
from serve.model_server import ModelServer, build_verbs
from serve.routes import LocalInferrer, StagedRoute
from tests.hooked_packages import hook, hooked_classifier
from tests.serve.encoded_images import encode_image, image_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter

TIMES = ("fetch_ms", "prepare_ms", "infer_ms", "finish_ms")


def load(folder: Path, **settings: Any) -> ModelServer:
    """A server of a package, one thread unless said."""
    service = {key: settings.pop(key) for key in ("cache_bytes", "limits") if key in settings}
    config = ServeConfig.model_validate(
        {"models": [{"package": str(folder), "concurrent_batches": 1, **settings}], **service}
    )
    cache = AnswerCache(config.cache_bytes)
    return ModelServer.load(load_package(str(folder)), config.models[0], config, cache=cache, num_cpus=1)


def load_staged(folder: Path, **settings: Any) -> ModelServer:
    """The same, as it is built where a GPU infers."""
    config = ServeConfig.model_validate({"models": [{"package": str(folder), "concurrent_batches": 1, **settings}]})
    package = load_package(str(folder))
    verbs = build_verbs(package, config.models[0], config)
    inferrer = LocalInferrer(Inference(package, config.models[0], num_cpus=1), wait_s=0.0)
    return ModelServer(
        describe_model(package, name="staged", engine="test"),
        verbs,
        StagedRoute(verbs, inferrer, num_threads=2),
        capacity=4,
        max_queue=8,
        cache=AnswerCache(1 << 20),
    )


def run(server: ModelServer, scenario: Callable[[ModelServer], Awaitable[Any]]) -> Any:
    """What a scenario gives; the server is closed after it."""

    async def closed() -> Any:
        try:
            return await scenario(server)
        finally:
            await server.close(timeout_s=10)

    return asyncio.run(closed())


def request(image: Any, *, seconds: float | None = None, image_id: str = "0", **options: Any) -> PredictRequest:
    deadline_s = None if seconds is None else time.time() + seconds
    return PredictRequest(model="", image=image, image_id=image_id, options=Options(**options), deadline_s=deadline_s)


@pytest.mark.parametrize("build", [load, load_staged])
@pytest.mark.parametrize("package", [tiny_classifier, tiny_segmenter])
def test_answers_as_the_predictor_does(
    tmp_path: Path, package: Callable[[Path], Path], build: Callable[..., ModelServer]
) -> None:
    folder = package(tmp_path)
    images = [image_bytes(0), b"not an image", image_bytes(1), image_bytes(2)[:-40]]

    async def scenario(server: ModelServer) -> list[Answer]:
        return await asyncio.gather(*(server.predict(request(image)) for image in images))

    answers = run(build(folder), scenario)
    predictor = Predictor.load(str(folder), device="cpu", num_threads=1)
    for answer, image in zip(answers, images, strict=True):
        expected = predictor.predict(image, image_id="0")
        assert (answer.prediction.status, answer.prediction.error) == (expected.status, expected.error)
        assert answer.prediction.source == expected.source
        if expected.result is not None:
            for name in expected.result.__dataclass_fields__:
                np.testing.assert_array_equal(getattr(answer.prediction.result, name), getattr(expected.result, name))
        assert answer.row["status"] == expected.status
        assert answer.row["sha256"] == expected.source.sha256


@pytest.mark.parametrize("build", [load, load_staged])
def test_prepared_tiles_give_the_answer_of_their_image(tmp_path: Path, build: Callable[..., ModelServer]) -> None:
    folder = tiny_classifier(tmp_path)
    item = build_preparer(load_package(str(folder))).prepare(image_bytes(), image_id="0")
    assert item.prepared is not None
    tiles = item.prepared.tiles

    async def scenario(server: ModelServer) -> list[Answer]:
        with pytest.raises(InvalidRequestError, match="16 x 16 pixels"):
            await server.predict(request(tiles[:, :8]))
        return [await server.predict(request(tiles)), await server.predict(request(image_bytes()))]

    of_tiles, of_bytes = run(build(folder), scenario)
    np.testing.assert_array_equal(of_tiles.prediction.result.scores, of_bytes.prediction.result.scores)
    assert of_tiles.prediction.source.image_hw == (16, 16)


def test_equal_bytes_are_computed_once_and_named_as_asked(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> list[Answer]:
        together = await asyncio.gather(*(server.predict(request(image_bytes(), image_id=name)) for name in "ab"))
        return [*together, await server.predict(request(image_bytes(), image_id="c"))]

    answers = run(load(tiny_classifier(tmp_path)), scenario)
    assert [answer.row["image_id"] for answer in answers] == ["a", "b", "c"]
    assert [answer.was_cached for answer in answers] == [False, True, True]
    assert len({answer.row["prepare_ms"] for answer in answers}) == 1, "times are those of the first"


def test_other_options_are_another_answer(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> list[Answer]:
        return [await server.predict(request(image_bytes(), top_k=k)) for k in (None, 1, 2)]

    answers = run(load(tiny_classifier(tmp_path)), scenario)
    assert [len(answer.row["top_k"]) for answer in answers] == [2, 1, 2]
    assert not any(answer.was_cached for answer in answers)


def test_without_a_cache_only_what_is_under_way_is_shared(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> list[Answer]:
        return [await server.predict(request(image_bytes())) for _ in range(2)]

    answers = run(load(tiny_classifier(tmp_path), cache_bytes=0), scenario)
    assert not any(answer.was_cached for answer in answers)


def test_probabilities_are_given_where_asked_for(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> list[Answer]:
        return [await server.predict(request(image_bytes(), with_probabilities=wanted)) for wanted in (False, True)]

    without, with_them = run(load(tiny_segmenter(tmp_path)), scenario)
    assert without.raw == {}
    np.testing.assert_array_equal(with_them.raw["score_map"], without.prediction.result.scores)


def test_requests_that_wait_share_a_forward_but_no_more_than_fit(tmp_path: Path) -> None:
    async def scenario(server: ModelServer) -> list[Answer]:
        return await asyncio.gather(*(server.predict(request(image_bytes(seed))) for seed in range(9)))

    folder = tiny_classifier(tmp_path, mixes_batch=True)
    answers = run(load(folder, batch_size=4, batch_wait_ms=500), scenario)
    sizes = [answer.batch_size for answer in answers]
    assert sizes == [4] * 8 + [1]


@pytest.mark.parametrize("build", [load, load_staged])
def test_a_full_queue_refuses_at_once_and_says_when_to_come_again(
    tmp_path: Path, build: Callable[..., ModelServer]
) -> None:
    async def scenario(server: ModelServer) -> list[Any]:
        wanted = (server.predict(request(image_bytes(seed))) for seed in range(40))
        found = await asyncio.gather(*wanted, return_exceptions=True)
        assert (await server.predict(request(image_bytes(99)))).prediction.is_ok, "there is room again"
        assert server.num_accepted == 0
        return found

    found = run(build(tiny_classifier(tmp_path), max_queue=3), scenario)
    refused = [entry for entry in found if isinstance(entry, OverloadedError)]
    assert 0 < len(refused) < 40
    assert len(refused) + sum(isinstance(entry, Answer) for entry in found) == 40
    assert all(error.retry_after_s and error.retry_after_s >= 1 for error in refused)
    assert "room in its queue" in str(refused[0])


@pytest.mark.parametrize("build", [load, load_staged])
def test_a_deadline_ends_the_waiting(tmp_path: Path, build: Callable[..., ModelServer]) -> None:
    async def scenario(server: ModelServer) -> None:
        with pytest.raises(DeadlineError):
            await server.predict(request(image_bytes(), seconds=-1))
        slow = [asyncio.ensure_future(server.predict(request(image_bytes(seed, side_px=800)))) for seed in range(4)]
        with pytest.raises(DeadlineError):
            await server.predict(request(image_bytes(9, side_px=800), seconds=0.001))
        assert all(answer.prediction.is_ok for answer in await asyncio.gather(*slow))
        assert server.num_accepted == 0

    run(build(tiny_classifier(tmp_path)), scenario)


@pytest.mark.parametrize("build", [load, load_staged])
def test_a_client_that_goes_away_makes_room(tmp_path: Path, build: Callable[..., ModelServer]) -> None:
    async def scenario(server: ModelServer) -> None:
        waiting = [asyncio.ensure_future(server.predict(request(image_bytes(seed)))) for seed in range(4)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        await asyncio.sleep(0.2)
        assert server.num_accepted == 0
        assert (await server.predict(request(image_bytes(9)))).prediction.is_ok

    run(build(tiny_classifier(tmp_path), max_queue=3), scenario)


def test_closing_finishes_what_was_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        server = load(tiny_classifier(tmp_path), max_queue=20)
        waiting = [asyncio.ensure_future(server.predict(request(image_bytes(seed)))) for seed in range(10)]
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(server.close(timeout_s=30))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="it stops"):
            await server.predict(request(image_bytes(99)))
        await closing
        assert all(answer.prediction.is_ok for answer in await asyncio.gather(*waiting))

    asyncio.run(scenario())


@pytest.mark.parametrize("batch_size", [1, 3])
def test_an_image_that_breaks_the_users_code_hurts_its_sender_only(tmp_path: Path, batch_size: int) -> None:
    folder = hooked_classifier(tmp_path, input__filters=[hook("refuse_dark", least=10)])
    black, bright = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 200, np.uint8)

    async def scenario(server: ModelServer) -> list[Answer]:
        images = [encode_image(picture) for picture in (bright, black)] + [image_bytes()]
        return await asyncio.gather(*(server.predict(request(image)) for image in images))

    answers = run(load(folder, batch_size=batch_size, batch_wait_ms=100), scenario)
    assert [answer.prediction.is_ok for answer in answers] == [True, False, True]


def test_health_is_a_forward(tmp_path: Path) -> None:
    server = load(tiny_classifier(tmp_path))

    async def scenario(server: ModelServer) -> None:
        await server.check_health()

    run(server, scenario)


def test_a_lost_device_is_found_out_and_nothing_more_is_tried(tmp_path: Path) -> None:
    folder = tiny_classifier(tmp_path)
    config = ServeConfig.model_validate({"models": [{"package": str(folder), "concurrent_batches": 1}]})
    package = load_package(str(folder))
    inference = Inference(package, config.models[0], num_cpus=1)
    verbs = build_verbs(package, config.models[0], config)
    inference.health.note_broken("CUDA error: an illegal memory access was encountered")
    server = ModelServer(
        describe_model(package, name="lost", engine="test"),
        verbs,
        StagedRoute(verbs, LocalInferrer(inference, wait_s=0.0), num_threads=1),
        capacity=1,
        max_queue=1,
        cache=AnswerCache(0),
    )

    async def scenario(server: ModelServer) -> None:
        for wanted in (server.predict(request(image_bytes())), server.check_health()):
            with pytest.raises(UnavailableError, match="its device failed") as caught:
                await wanted
            assert "CUDA" not in str(caught.value)

    run(server, scenario)


def test_what_is_no_error_of_ours_is_told_without_its_text(tmp_path: Path) -> None:
    folder = hooked_classifier(tmp_path, input__filters=[hook("leave_program")])

    async def scenario(server: ModelServer) -> None:
        for _ in range(3):
            with pytest.raises(InternalError, match="the log of the service says why"):
                await server.predict(request(image_bytes()))

    run(load(folder), scenario)
