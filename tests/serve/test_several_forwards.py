"""Views, members and what is told of them reach online answers as they reach the rows of a job."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from inference_core.enhance.override import override_package
from inference_core.enhance_spec import TtaSpec
from inference_core.export.rows import RowBuilder
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.results import Segmentation
from serve.answer_json import extras_of
from serve.answers import Answer, Options, PredictRequest
from serve.config import ServeConfig
from serve.errors import InvalidRequestError
from serve.local_backend import LocalBackend
from serve.model_options import describe_options
from tests.asset_packages import write_package
from tests.serve.encoded_images import image_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter

TIMES = ("fetch_ms", "prepare_ms", "infer_ms", "finish_ms")


def viewed(folder: Path, **spec: Any) -> Path:
    facts = yaml.safe_load((folder / "model.yaml").read_text())
    return write_package(folder, {**facts, **spec})


def unlike(folder: Path) -> Path:
    """Members that are shown the image in two sizes."""
    viewed(tiny_segmenter(folder / "net0"))
    viewed(tiny_segmenter(folder / "net1"), input={"fit": "stretch", "size_hw": [8, 8]})
    members = {"members": [{"package": "../net0"}, {"package": "../net1", "weight": 2.0}]}
    facts = {"name": "both", "task": "segmentation", "format": "ensemble", "ensemble": members, "uncertainty": {}}
    return write_package(folder / "both", facts)


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
        pytest.param(unlike, id="members of other sizes"),
        pytest.param(
            lambda folder: viewed(tiny_segmenter(folder), postprocess=[{"min_area_px": 9}], components={}), id="masks"
        ),
    ],
)
def test_an_online_answer_is_that_of_the_predictor(tmp_path: Path, build: Any) -> None:
    package = load_package(str(build(tmp_path)))
    prediction = Predictor.load(package, device="cpu").predict(image_bytes(0), image_id="0")
    expected = RowBuilder(package.spec, model_digest=package.digest).row(prediction, row_id=0)
    (answer,) = served(package.uri, [{}])
    assert {k: v for k, v in answer.row.items() if k not in TIMES} == {
        k: v for k, v in expected.items() if k not in TIMES
    }
    assert set(expected) & {"gains", "prediction_set", "uncertainty", "components"}
    assert answer.model_digest == package.digest


def served(uri: str, options: Sequence[Mapping[str, Any]]) -> list[Answer]:
    """The answers of one service to the same image, a request for each of several options, all at once."""
    config = ServeConfig.model_validate(
        {"models": [{"name": "m", "package": uri, "concurrent_batches": 1, "batch_size": 4, "batch_wait_ms": 50}]}
    )

    async def ask() -> list[Answer]:
        backend = LocalBackend.load(config, num_cpus=1)
        try:
            requests = [
                PredictRequest(model="m", image=image_bytes(0), image_id="0", options=Options(**one)) for one in options
            ]
            return await asyncio.gather(*(backend.predict(request) for request in requests))
        finally:
            await backend.close()

    return asyncio.run(ask())


def told(answer: Answer) -> dict[str, Any]:
    """A row without times."""
    return {name: value for name, value in answer.row.items() if name not in TIMES}


@pytest.mark.parametrize("num_views", [1, 2])
def test_fewer_views_are_the_answer_of_a_package_with_fewer(tmp_path: Path, num_views: int) -> None:
    """In the same batch as others with all of them."""
    views = ["identity", "hflip", "rot90"]
    package = load_package(str(viewed(tiny_classifier(tmp_path, depth=1), tta=views)))
    fewer = override_package(package, tta=TtaSpec(views=tuple(views[:num_views])))
    prediction = Predictor.load(fewer, device="cpu").predict(image_bytes(0), image_id="0")
    expected = RowBuilder(fewer.spec, model_digest=fewer.digest).row(prediction, row_id=0)
    whole, some, named = served(package.uri, [{}, {"views": num_views}, {"views": 3}])
    assert told(some) == {name: value for name, value in expected.items() if name not in TIMES}
    assert (some.model_digest, whole.model_digest) == (fewer.digest, package.digest)
    assert told(named) == told(whole)
    assert len(whole.row["gains"]) == 2
    assert len(some.row.get("gains", ())) == num_views - 1


def test_views_that_the_answer_needs_stay(tmp_path: Path) -> None:
    told = {"uncertainty": {"measure": "std"}}
    needed = describe_options(load_package(str(viewed(tiny_segmenter(tmp_path / "a"), tta=["hflip"], **told))).spec)
    assert "views" not in needed  # the deviation of one forward is none
    some = load_package(str(viewed(tiny_segmenter(tmp_path / "b"), tta=["hflip", "vflip"], **told)))
    assert describe_options(some.spec)["views"] == {"default": 3, "minimum": 2, "maximum": 3}
    with pytest.raises(InvalidRequestError, match="views must be from 2 to 3 for this model, got 1"):
        served(some.uri, [{"views": 1}])
    plain = load_package(str(tiny_classifier(tmp_path / "c")))
    with pytest.raises(InvalidRequestError, match="views must be absent for a model of task classification"):
        served(plain.uri, [{"views": 1}])
    with pytest.raises(InvalidRequestError, match="uncertainty must be absent for a model of task classification"):
        served(plain.uri, [{"with_uncertainty": True}])


def test_the_uncertainty_of_each_pixel_comes_on_request(tmp_path: Path) -> None:
    package = load_package(str(viewed(tiny_segmenter(tmp_path), tta=["hflip"], uncertainty={})))
    (answer,) = served(package.uri, [{"with_uncertainty": True}])
    prediction = Predictor.load(package, device="cpu").predict(image_bytes(0))
    assert isinstance(prediction.result, Segmentation)
    assert prediction.result.spread is not None
    encoded = extras_of(answer, options=Options(with_uncertainty=True))["uncertainty"]
    assert encoded["media_type"] == "image/png"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded["data"]))))
    np.testing.assert_array_equal(pixels, prediction.result.spread.pixels)
    assert extras_of(answer, options=Options()) == {}


def test_scores_of_online_answers_are_calibrated(tmp_path: Path) -> None:
    tiny_classifier(tmp_path / "plain")
    warm = viewed(tiny_classifier(tmp_path / "warm"), calibration={"temperature": 3.0})
    plain, calm = (served(str(folder), [{}])[0].prediction.result for folder in (tmp_path / "plain", warm))
    expected = plain.scores ** (1 / 3)  # type: ignore[union-attr] # of the best two of three classes
    ratio = calm.scores[0] / calm.scores[1]  # type: ignore[union-attr]
    assert ratio == pytest.approx(expected[0] / expected[1], rel=1e-4)
