"""Views, members and what is told of them reach online answers as they reach the rows of a job."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference_core.export.rows import RowBuilder
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from serve.answers import PredictRequest
from serve.config import ServeConfig
from serve.local_backend import LocalBackend
from tests.asset_packages import write_package
from tests.serve.encoded_images import image_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter

TIMES = ("fetch_ms", "prepare_ms", "infer_ms", "finish_ms")


def viewed(folder: Path, **spec: Any) -> Path:
    facts = yaml.safe_load((folder / "model.yaml").read_text())
    return write_package(folder, {**facts, **spec})


def ensemble(folder: Path) -> Path:
    for seed in (0, 1):
        tiny_classifier(folder / f"net{seed}", seed=seed)
    members = {"members": [{"package": "../net0"}, {"package": "../net1", "weight": 2.0}]}
    facts = {"name": "both", "task": "classification", "format": "ensemble", "ensemble": members}
    return write_package(folder / "both", facts)


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda folder: viewed(tiny_classifier(folder), tta=["hflip", "rot90"]), id="views"),
        pytest.param(lambda folder: viewed(tiny_segmenter(folder), tta=["hflip"], uncertainty={}), id="pixels"),
        pytest.param(
            lambda folder: viewed(tiny_classifier(folder), conformal={"method": "aps", "quantile": 0.9}), id="sets"
        ),
        pytest.param(ensemble, id="members"),
    ],
)
def test_an_online_answer_is_that_of_the_predictor(tmp_path: Path, build: Any) -> None:
    package = load_package(str(build(tmp_path)))
    prediction = Predictor.load(package, device="cpu").predict(image_bytes(0), image_id="0")
    expected = RowBuilder(package.spec, model_digest=package.digest).row(prediction, row_id=0)
    config = ServeConfig.model_validate({"models": [{"name": "m", "package": package.uri, "concurrent_batches": 1}]})

    async def ask() -> Any:
        backend = LocalBackend.load(config, num_cpus=1)
        try:
            return await backend.predict(PredictRequest(model="m", image=image_bytes(0), image_id="0"))
        finally:
            await backend.close()

    answer = asyncio.run(ask())
    assert {k: v for k, v in answer.row.items() if k not in TIMES} == {
        k: v for k, v in expected.items() if k not in TIMES
    }
    assert set(expected) & {"gains", "prediction_set", "uncertainty"}
    assert answer.model_digest == package.digest
