from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from serve.answers import Answer, PredictRequest, ServedModel
from serve.errors import OverloadedError
from serve.metrics import observer as module
from serve.metrics.names import IMAGES_IN_FLIGHT, IMAGES_REFUSED, MODEL_LOADED, QUEUED_IMAGES
from serve.metrics.observer import Observer
from serve.metrics.replica_files import ReplicaFiles

FACTS = ServedModel(
    **{"name": "m", "digest": "d", "version": "v", "task": "classification", "classes": (), "engine": "e"},
    **{"input_hw": None, "num_channels": 3, "spec": {}, "is_ready": True, "options": {}},
)


class Full:
    """A backend whose queue is full."""

    async def predict(self, request: PredictRequest) -> Answer:
        raise OverloadedError("the queue must have room", retry_after_s=1)

    async def models(self) -> Sequence[ServedModel]:
        return [FACTS]

    async def model(self, name: str, *, version: str = "") -> ServedModel:
        return FACTS

    def default_model(self) -> str:
        return "m"

    def known_models(self) -> Sequence[str]:
        return ["m"]


@pytest.mark.parametrize(("name", "label"), [("", "m"), ("m", "m"), ("made-up", "")])
def test_a_refused_image_is_counted_for_the_model_that_was_meant(name: str, label: str) -> None:
    async def run() -> dict[str, dict[tuple[str, ...], float]]:
        observer = Observer(Full(), replica="a")
        with pytest.raises(OverloadedError):
            await observer.backend.predict(PredictRequest(model=name, image=b""))
        return (await observer.snapshot()).values

    values = asyncio.run(run())
    assert values[IMAGES_REFUSED.name] == {(label, "overloaded"): 1}
    assert values[IMAGES_IN_FLIGHT.name] == {(label,): 0}
    assert values[MODEL_LOADED.name] == {("m", "v", "e"): 1}
    assert QUEUED_IMAGES.name not in values  # this backend does not know


def test_processes_of_one_machine_tell_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "WRITE_INTERVAL_S", 0.01)

    async def run() -> tuple[list[str], list[str]]:
        observer = Observer(Full(), folder=tmp_path, replica="a")
        other = ReplicaFiles(tmp_path, "b")
        observer.start()
        while not (seen := other.read_others()):
            await asyncio.sleep(0.01)
        await observer.close()
        return [snapshot.replica for snapshot in seen], [path.name for path in tmp_path.iterdir()]

    assert asyncio.run(run()) == (["a"], [])


def test_a_folder_that_was_swept_away_ends_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "WRITE_INTERVAL_S", 0.001)
    folder = tmp_path / "shared"
    folder.mkdir()

    async def run() -> list[str]:
        observer = Observer(Full(), folder=folder, replica="a")
        observer.start()
        other = ReplicaFiles(folder, "b")
        while not other.read_others():
            await asyncio.sleep(0.001)
        shutil.rmtree(folder, ignore_errors=True)
        await asyncio.sleep(0.05)
        folder.mkdir(exist_ok=True)
        while not (seen := other.read_others()):
            await asyncio.sleep(0.001)
        await observer.close()
        return [snapshot.replica for snapshot in seen]

    assert asyncio.run(run()) == ["a"]
