from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference_core.engines.protocol import Array, EngineFacts
from inference_core.errors import ConfigError
from inference_core.execution_choice import ExecutionChoice
from inference_core.finisher import Finisher
from inference_core.images import Limits
from inference_core.items import Prediction
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.preparer import Preparer
from inference_core.quality.grader import Grader
from inference_core.records import Uint8Array
from inference_core.results import Classification, Segmentation
from inference_core.runner import Runner
from inference_core.tasks.build import build_task
from tests.asset_packages import camvid_package, mobilenet_package
from tests.drawn_images import BAD_FILES, draw_folder, png_bytes
from tests.failing_modules import fragile_package
from tests.specs import model_spec
from tests.tiny_models import tiny_classifier, tiny_segmenter


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tiny_classifier(tmp_path_factory.mktemp("tiny"))
    return Predictor.load(folder, device="cpu", batch_size=4, num_threads=1)


def classes_of(prediction: Prediction) -> Classification:
    assert isinstance(prediction.result, Classification), prediction.error
    return prediction.result


def assert_same_answer(one: Prediction, other: Prediction) -> None:
    """Same status and same numbers, to the bit."""
    assert (one.status, one.error, one.model_digest) == (other.status, other.error, other.model_digest)
    if isinstance(one.result, Classification):
        assert np.array_equal(one.result.class_ids, classes_of(other).class_ids)
        assert np.array_equal(one.result.scores, classes_of(other).scores)
        assert one.result.entropy == classes_of(other).entropy
    if isinstance(one.result, Segmentation):
        assert isinstance(other.result, Segmentation)
        assert np.array_equal(one.result.mask, other.result.mask)
        assert np.array_equal(one.result.scores, other.result.scores)


def every_form(path: Path) -> dict[str, Any]:
    """One image in all forms that are taken."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    return {
        "path": path,
        "text": str(path),
        "uri": f"file://{path}",
        "bytes": path.read_bytes(),
        "array": np.asarray(image),
        "pillow": image,
    }


def test_an_image_has_one_answer_in_every_form(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(1))
    forms = every_form(path)
    predictions = {name: predictor.predict(form) for name, form in forms.items()}
    for prediction in predictions.values():
        assert prediction.is_ok
        assert_same_answer(predictions["bytes"], prediction)
    assert classes_of(predictions["bytes"]).labels[0] == "green"
    ids = {name: prediction.source.image_id for name, prediction in predictions.items()}
    assert ids == {
        "path": str(path),
        "text": str(path),
        "uri": f"file://{path}",
        "bytes": "0",
        "array": "0",
        "pillow": "0",
    }
    uris = {name: prediction.source.uri for name, prediction in predictions.items()}
    uri = f"file://{path}"
    assert uris == {"path": uri, "text": uri, "uri": uri, "bytes": "", "array": "", "pillow": ""}


@pytest.mark.assets
@pytest.mark.parametrize("build", [mobilenet_package, camvid_package], ids=["mobilenet", "camvid"])
def test_a_real_photograph_has_one_answer_in_every_form(build: Any, assets: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(build(tmp_path, assets), device="cpu", num_threads=2)
    forms = every_form(assets / "formats" / "chelsea.png")
    predictions = predictor.predict_batch(list(forms.values()))
    assert {prediction.status for prediction in predictions} == {"ok"}
    for prediction in predictions:
        assert_same_answer(predictions[0], prediction)


def test_an_image_id_of_ones_own(predictor: Predictor) -> None:
    assert predictor.predict(png_bytes(0), image_id="first").source.image_id == "first"


def test_nothing_to_predict(predictor: Predictor) -> None:
    assert predictor.predict_batch([]) == []


def test_bad_images_in_the_middle_hurt_no_other(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(3))
    images: list[Any] = [
        png_bytes(0),
        b"no image",
        path,
        tmp_path / "absent.png",
        tmp_path,
        "",
        "a\0b",
        png_bytes(1)[:90],
        np.zeros((4, 4, 9), np.uint8),
        "s3://key:secret@bucket/x.png",
        png_bytes(2),
    ]
    predictions = predictor.predict_batch(images)
    assert [prediction.status for prediction in predictions] == [
        "ok", "unsupported", "ok", "fetch_error", "fetch_error", "fetch_error", "fetch_error", "decode_error",
        "unsupported", "fetch_error", "ok",
    ]  # fmt: skip
    assert all((prediction.error == "") == prediction.is_ok for prediction in predictions)
    for index, alone in ((0, png_bytes(0)), (2, png_bytes(3)), (10, png_bytes(2))):
        assert_same_answer(predictions[index], predictor.predict(alone))
    assert "secret" not in repr(predictions)


def test_ids_are_positions_or_paths(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(0))
    images = [png_bytes(0), path, *[png_bytes(1)] * 4]
    ids = [prediction.source.image_id for prediction in predictor.predict_batch(images)]
    assert ids == ["0", str(path), "2", "3", "4", "5"]
    given = [prediction.source.image_id for prediction in predictor.predict_batch(images, image_ids=list("abcdef"))]
    assert given == list("abcdef")


def test_as_many_ids_as_images(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="zip"):
        predictor.predict_batch([png_bytes(0)], image_ids=["a", "b"])


def test_batches_of_any_size_give_the_same_answers(predictor: Predictor, tmp_path: Path) -> None:
    images = [png_bytes(index) if index % 4 else b"no image" for index in range(11)]
    one_by_one = Predictor.load(tiny_classifier(tmp_path), device="cpu", batch_size=1)
    for prediction, other in zip(predictor.predict_batch(images), one_by_one.predict_batch(images), strict=True):
        assert_same_answer(prediction, other)


class Recording:
    """An engine that keeps the sizes of its batches."""

    facts = EngineFacts(engine="recording", device="cpu", precision="fp32", num_threads=1)

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        self.batch_sizes.append(len(batch))
        return {"scores": batch.mean(axis=(1, 2), dtype=np.float32)}


@pytest.mark.parametrize("count", [1, 4, 10])
def test_lists_and_folders_are_cut_into_batches_from_their_beginning(count: int, tmp_path: Path) -> None:
    draw_folder(tmp_path, count)
    spec, engine = model_spec(), Recording()
    task = build_task(spec)
    predictor = Predictor(
        Preparer(spec.input, limits=Limits()),
        Runner(engine, task, batch_size=4),
        Finisher(task, model_digest="", grader=Grader(spec)),
        max_bytes=10**6,
    )
    expected = [4] * (count // 4) + [count % 4] * (count % 4 > 0)
    predictor.predict_batch([png_bytes(index) for index in range(count)])
    assert engine.batch_sizes == expected
    assert len(list(predictor.predict_directory(tmp_path))) == count
    assert engine.batch_sizes == expected * 2


def test_times_are_recorded(predictor: Predictor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(0))
    times = predictor.predict(path).stage_ms
    assert min(times.fetch, times.prepare, times.infer, times.finish) > 0


def test_a_folder_comes_sorted_with_its_bad_files(predictor: Predictor, tmp_path: Path) -> None:
    draw_folder(tmp_path, 11, with_bad=True)
    predictions = list(predictor.predict_directory(tmp_path))
    ids = [prediction.source.image_id for prediction in predictions]
    assert ids == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert {prediction.source.image_id for prediction in predictions if not prediction.is_ok} == set(BAD_FILES)
    for prediction in predictions:
        assert_same_answer(prediction, predictor.predict(tmp_path / prediction.source.image_id))
        assert prediction.source.uri == f"file://{tmp_path}/{prediction.source.image_id}"


@pytest.mark.assets
def test_a_folder_of_every_orientation(assets: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(mobilenet_package(tmp_path, assets), device="cpu", batch_size=3, num_threads=2)
    predictions = list(predictor.predict_directory(assets / "exif"))
    assert [prediction.source.image_id for prediction in predictions] == [
        f"Landscape_{orientation}.jpg" for orientation in (1, 3, 6, 8)
    ]
    assert [prediction.source.orientation for prediction in predictions] == [1, 3, 6, 8]
    assert len({prediction.source.image_hw for prediction in predictions}) == 1
    # The same photograph, stored turned and compressed anew: the answers are close, those of a turned one are not.
    answers = [classes_of(prediction) for prediction in predictions]
    for answer in answers[1:]:
        assert len({*answer.class_ids.tolist()} & {*answers[0].class_ids.tolist()}) >= 3
        np.testing.assert_allclose(answer.scores, answers[0].scores, atol=0.03)


@pytest.mark.parametrize("name", ["absent", "empty", "file.png"])
def test_a_folder_without_files(predictor: Predictor, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.png").write_bytes(png_bytes(0))
    with pytest.raises(
        ConfigError, match=f"directory must be a folder or prefix that holds files, got .*{name}; check"
    ):
        list(predictor.predict_directory(tmp_path / name))


def test_limits_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(0))
    limits = Limits(max_bytes=100, max_pixels=10)
    predictor = Predictor.load(tiny_classifier(tmp_path / "tiny"), device="cpu", limits=limits)
    assert [predictor.predict(image).status for image in (path, path.read_bytes(), np.zeros((4, 4, 3), np.uint8))] == [
        "too_large"
    ] * 3


def test_a_package_may_be_given_read(tmp_path: Path) -> None:
    package = load_package(str(tiny_segmenter(tmp_path)))
    prediction = Predictor.load(package, device="cpu").predict(np.zeros((5, 9, 3), np.uint8))
    assert isinstance(prediction.result, Segmentation)
    assert prediction.result.mask.shape == (5, 9)


# What is decided on a sample


def test_nothing_is_decided_where_nothing_is_open(predictor: Predictor) -> None:
    assert predictor.choice == ExecutionChoice()


def test_a_batch_size_is_decided_on_a_sample(tmp_path: Path) -> None:
    images = [png_bytes(index) for index in range(5)]
    predictor = Predictor.load(tiny_classifier(tmp_path), device="cpu", batch_size="auto", sample=images)
    assert predictor.choice.batch is not None
    assert predictor.choice.batch.table
    assert [one.result for one in predictor.predict_batch(images)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "auto"}, "engine: must be named where there is no sample, got auto; name it, or give a sample"),
        ({"batch_size": "auto"}, "batch_size: must be named where there is no sample, got auto"),
    ],
    ids=["engine", "batch-size"],
)
def test_without_a_sample_nothing_can_be_decided(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Predictor.load(tiny_classifier(tmp_path), device="cpu", **options)


@pytest.mark.parametrize(
    ("options", "engine", "is_told"),
    [
        pytest.param({"sample": True}, "torch on cpu, fp32", False, id="falls-back"),
        pytest.param({"sample": True, "precision_guard": "warn"}, "torch on cpu, bf16", False, id="warns"),
        pytest.param({}, "torch on cpu, bf16", True, id="no-sample"),
        pytest.param({"precision_guard": "off"}, "torch on cpu, bf16", False, id="off"),
    ],
)
def test_a_precision_that_answers_otherwise_is_found_out_on_a_sample(
    tmp_path: Path, options: dict[str, Any], engine: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    white = np.full((16, 16, 3), 255, np.uint8)
    given = {**options, "sample": [white]} if options.get("sample") else options
    package = fragile_package(tmp_path, scale=3.4e38)
    predictor = Predictor.load(package, device="cpu", precision="bf16", **given)
    assert predictor.predict(white).engine == engine
    assert ("precision bf16 is not compared with fp32: give a sample" in caplog.text) is is_told
