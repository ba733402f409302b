from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference_core.errors import ConfigError
from serve.answers import PredictRequest
from serve.config import ServeConfig
from serve.errors import UnavailableError, UnknownModelError
from serve.local_backend import LocalBackend
from serve.running import package_digests
from tests.serve.encoded_images import image_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter


def config_of(folder: Path, *, count: int = 3, **settings: Any) -> ServeConfig:
    """Models a, b, c, ... which are different from each other."""
    models = [
        {
            "name": name,
            "package": str(tiny_classifier(folder / name, seed=seed)),
            "concurrent_batches": 1,
            "is_lazy": settings.get("max_loaded") is not None,
        }
        for seed, name in enumerate("abcdef"[:count])
    ]
    return ServeConfig.model_validate({"models": models, **settings})


def run(backend: LocalBackend, scenario: Callable[[LocalBackend], Awaitable[Any]]) -> Any:
    async def closed() -> Any:
        try:
            return await scenario(backend)
        finally:
            await backend.close()

    return asyncio.run(closed())


def request(model: str, seed: int = 0) -> PredictRequest:
    return PredictRequest(model=model, image=image_bytes(seed), image_id="0")


def test_each_model_answers_under_its_name_and_the_first_is_the_default(tmp_path: Path) -> None:
    async def scenario(backend: LocalBackend) -> None:
        answers = [await backend.predict(request(name)) for name in ("a", "b", "")]
        assert [answer.model for answer in answers] == ["a", "b", "a"]
        assert answers[0].model_digest != answers[1].model_digest
        assert [facts.name for facts in await backend.models()] == ["a", "b", "c"]
        assert (backend.default_model(), list(backend.known_models())) == ("a", ["a", "b", "c"])

    run(LocalBackend.load(config_of(tmp_path), num_cpus=1), scenario)


def test_equal_bytes_for_two_names_of_one_package_are_answers_of_each(tmp_path: Path) -> None:
    package = str(tiny_classifier(tmp_path))
    models = [{"name": name, "package": package, "concurrent_batches": 1} for name in "ab"]

    async def scenario(backend: LocalBackend) -> list[str]:
        return [(await backend.predict(request(name))).model for name in "ab"]

    config = ServeConfig.model_validate({"models": models})
    assert run(LocalBackend.load(config, num_cpus=1), scenario) == ["a", "b"]


@pytest.mark.parametrize("version", ["", "short", "whole", "wrong"])
def test_a_version_is_the_digest_or_its_beginning(tmp_path: Path, version: str) -> None:
    async def scenario(backend: LocalBackend) -> None:
        facts = await backend.model("a")
        asked = {"": "", "short": facts.version, "whole": facts.digest, "wrong": "1"}[version]
        if version == "wrong":
            with pytest.raises(UnknownModelError, match=f"version of a must be {facts.version}, got '1'"):
                await backend.model("a", version=asked)
        else:
            assert await backend.model("a", version=asked) == facts

    run(LocalBackend.load(config_of(tmp_path, count=1), num_cpus=1), scenario)


def test_an_unknown_name_is_told_with_those_that_are_served(tmp_path: Path) -> None:
    async def scenario(backend: LocalBackend) -> None:
        with pytest.raises(UnknownModelError, match="model must be one of a, b, got 'x'"):
            await backend.predict(request("x"))

    run(LocalBackend.load(config_of(tmp_path, count=2), num_cpus=1), scenario)


def test_two_packages_of_one_name_are_refused(tmp_path: Path) -> None:
    packages = [{"package": str(tiny_classifier(tmp_path / name))} for name in "ab"]
    config = ServeConfig.model_validate({"models": packages})
    message = r"distinct names, got tiny-classification twice; name one, as --set models\.1\.name=tiny-classification-2"
    with pytest.raises(ConfigError, match=message):
        LocalBackend.load(config, num_cpus=1)
    with pytest.raises(ConfigError, match=message):
        package_digests(config)  # before anything is deployed
    named = (config.models[0], config.models[1].model_copy(update={"name": "tiny-classification-2"}))
    assert len(package_digests(config.model_copy(update={"models": named}))) == 2


def ready(backend: LocalBackend) -> list[str]:
    return [name for name, slot in backend._slots.items() if slot.server is not None]


def test_lazy_models_come_with_their_first_request_and_go_when_others_are_wanted(tmp_path: Path) -> None:
    async def scenario(backend: LocalBackend) -> None:
        assert ready(backend) == []
        assert [(facts.is_ready, facts.engine) for facts in await backend.models()] == [(False, "")] * 3
        for name, loaded in (("a", "a"), ("b", "ab"), ("a", "ab"), ("c", "ac"), ("b", "bc")):
            assert (await backend.predict(request(name))).model == name
            assert "".join(ready(backend)) == loaded
        assert [facts.is_ready for facts in await backend.models()] == [False, True, True]

    run(LocalBackend.load(config_of(tmp_path, max_loaded=2), num_cpus=1), scenario)


def test_a_lazy_model_is_loaded_once_for_all_who_wait(tmp_path: Path) -> None:
    async def scenario(backend: LocalBackend) -> None:
        answers = await asyncio.gather(*(backend.predict(request("a", seed)) for seed in range(5)))
        assert all(answer.prediction.is_ok for answer in answers)
        assert ready(backend) == ["a"]

    run(LocalBackend.load(config_of(tmp_path, max_loaded=1), num_cpus=1), scenario)


def test_all_who_ask_for_more_models_than_fit_are_answered(tmp_path: Path) -> None:
    async def scenario(backend: LocalBackend) -> None:
        names = "abcabcbca"
        answers = await asyncio.gather(*(backend.predict(request(name, seed)) for seed, name in enumerate(names)))
        assert "".join(answer.model for answer in answers) == names

    run(LocalBackend.load(config_of(tmp_path, max_loaded=1), num_cpus=1), scenario)


def test_a_lazy_model_that_no_longer_loads_is_not_available(tmp_path: Path) -> None:
    config = config_of(tmp_path, count=1, max_loaded=1)
    backend = LocalBackend.load(config, num_cpus=1)
    (tmp_path / "a" / "tiny.onnx").write_bytes(b"no graph")

    async def scenario(backend: LocalBackend) -> None:
        with pytest.raises(UnavailableError, match="model a must load") as caught:
            await backend.predict(request("a"))
        assert str(tmp_path) not in str(caught.value)

    run(backend, scenario)


def test_a_package_that_is_replaced_while_it_sleeps_wakes_with_its_new_digest(tmp_path: Path) -> None:
    backend = LocalBackend.load(config_of(tmp_path, count=1, max_loaded=1), num_cpus=1)
    tiny_classifier(tmp_path / "a", seed=9)

    async def scenario(backend: LocalBackend) -> None:
        before = (await backend.model("a")).digest
        answer = await backend.predict(request("a"))
        assert before != answer.model_digest == (await backend.model("a")).digest

    run(backend, scenario)


def test_code_of_a_package_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    folder = tiny_segmenter(tmp_path)
    (folder / "mine.py").write_text("def invert(pixels):\n    return 255 - pixels\n")
    spec = yaml.safe_load((folder / "model.yaml").read_text())
    spec["input"]["filters"] = [{"import": "./mine.py:invert"}]
    (folder / "model.yaml").write_text(yaml.safe_dump(spec))
    models = [{"package": str(folder), "concurrent_batches": 1}]
    with pytest.raises(ConfigError, match="trust"):
        LocalBackend.load(ServeConfig.model_validate({"models": models}), num_cpus=1)
    backend = LocalBackend.load(ServeConfig.model_validate({"models": models, "trust_package_code": True}), num_cpus=1)

    async def scenario(backend: LocalBackend) -> bool:
        return (await backend.predict(request(""))).prediction.is_ok

    assert run(backend, scenario)
