from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from inference_core import storage
from inference_core.errors import ConfigError, ModelError
from inference_core.golden.read import GoldenImage, load_golden
from inference_core.golden.seal import golden_uri, seal
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from inference_core.predictor import Predictor
from inference_core.provenance import sha256_hex
from inference_core.tasks.build import build_task
from tests.asset_packages import write_package
from tests.inference_core.golden.conftest import MakeSealed
from tests.onnx_graphs import graph_bytes
from tests.sealed_packages import golden_folder
from tests.tiny_models import save_graph, tiny_classifier, tiny_segmenter, tiny_spec


def files_of(package: ModelPackage) -> set[str]:
    return {found.path for found in storage.list_objects(golden_uri(package))}


def test_the_folder_holds_images_values_and_a_record(make_sealed: MakeSealed, images: list[GoldenImage]) -> None:
    package = make_sealed()
    golden = load_golden(package)
    assert [image.data for image in golden.images] == [image.data for image in images]
    assert [image.name for image in golden.images] == [f"{sha256_hex(data)[:8]}-{name}" for name, data in images]
    assert files_of(package) == {
        "golden.json",
        golden.record.arrays_file,
        *(f"images/{image.name}" for image in golden.images),
    }
    record = golden.record
    assert (record.model_digest, record.engine, record.precision) == (package.digest, "onnxruntime", "fp32")
    assert record.versions["pillow"]


@pytest.mark.parametrize("build", [tiny_classifier, tiny_segmenter], ids=["classifier", "segmenter"])
def test_what_is_sealed_is_what_the_model_makes_of_the_images(make_sealed: MakeSealed, build: Any) -> None:
    package = make_sealed(build)
    golden = load_golden(package)
    predictor, preparer, task = Predictor.load(package, batch_size=2), build_preparer(package), build_task(package.spec)
    predictions = predictor.predict_batch([image.data for image in golden.images])
    for index, (sealed, image, prediction) in enumerate(
        zip(golden.record.images, golden.images, predictions, strict=True)
    ):
        prepared = preparer.prepare(image.data, image_id="").prepared
        assert prepared is not None
        assert prediction.result is not None
        assert sealed.answer == task.to_row(prediction.result)
        assert sealed.placement == prepared.placement
        np.testing.assert_array_equal(golden.arrays[f"{index:02d}.tiles"], prepared.tiles.ravel())


def test_sealing_keeps_the_digest_and_is_the_same_again(make_sealed: MakeSealed, images: list[GoldenImage]) -> None:
    package = make_sealed()
    before = {path: (golden_folder(package) / path).read_bytes() for path in files_of(package)}
    again = load_package(package.uri)
    assert again.digest == package.digest
    seal(again, images, force=True)
    assert {path: (golden_folder(package) / path).read_bytes() for path in files_of(package)} == before


def test_a_sealed_package_is_sealed_again_only_by_force(make_sealed: MakeSealed, images: list[GoldenImage]) -> None:
    package = make_sealed()
    with pytest.raises(ConfigError, match=r"package must not be sealed yet, got .*golden\.json; check it .* --force"):
        seal(package, images)
    seal(package, images[:1], force=True)
    assert len(load_golden(package).images) == 1
    assert len(files_of(package)) == 3  # what the first sealing left is gone


def test_golden_images_sealed_again_keep_their_names(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    golden = load_golden(package)
    seal(package, golden.images, force=True)
    assert [image.name for image in load_golden(package).images] == [image.name for image in golden.images]


def test_an_image_without_an_answer_is_refused_by_its_name(tmp_path: Path, images: list[GoldenImage]) -> None:
    package = load_package(str(tiny_classifier(tmp_path, channels=3)))
    with pytest.raises(ModelError, match=r"must answer every golden image, got decode_error for bad\.png"):
        seal(package, [*images, GoldenImage(name="bad.png", data=b"")])
    assert files_of(package) == set()


def test_a_model_that_rolls_dice_is_refused(tmp_path: Path, images: list[GoldenImage]) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("RandomNormalLike", ["means"], ["noise"]),
        helper.make_node("Add", ["means", "noise"], ["logits"]),
    ]
    save_graph(tmp_path / "tiny.onnx", nodes, [], shape=["batch", 3, 8, 8], output=("logits", ["batch", 3]))
    package = load_package(
        str(write_package(tmp_path, tiny_spec("classification", {"fit": "stretch", "size_hw": [8, 8]})))
    )
    with pytest.raises(ModelError, match="must give the same values whenever it is asked, got this the second time: "):
        seal(package, images)


def test_large_outputs_are_kept_in_part(
    tmp_path: Path, images: list[GoldenImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_core.golden.seal.MAX_OUTPUT_VALUES", 200)
    monkeypatch.setattr("inference_core.golden.seal.MAX_TILE_VALUES", 300)
    package = load_package(str(tiny_segmenter(tmp_path)))
    golden = seal(package, images)
    (output,) = golden.record.images[0].outputs
    assert (output.num_values, output.step) == (24 * 24 * 3, 11)
    assert len(golden.arrays["00.output.0"]) == -(-output.num_values // 11)
    assert golden.record.images[0].tiles_step == 11
    assert load_golden(package).record == golden.record


def test_values_are_never_pickled(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    path = golden_folder(package) / load_golden(package).record.arrays_file
    with np.load(path, allow_pickle=False) as stored:
        assert {re.sub(r"^\d\d", "NN", name) for name in stored.files} == {"NN.tiles", "NN.output.0", "NN.decision"}


def test_a_model_that_uses_several_outputs_keeps_them_all(tmp_path: Path, images: list[GoldenImage]) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("ArgMax", ["means"], ["best"], axis=1, keepdims=0),
        helper.make_node("Cast", ["best"], ["number"], to=onnx.TensorProto.FLOAT),
    ]
    shape = ["batch", 3, 8, 8]
    graph = graph_bytes(nodes, inputs={"image": shape}, outputs={"means": ["batch", 3], "number": ["batch"]})
    (tmp_path / "tiny.onnx").write_bytes(graph)
    spec = tiny_spec("classification", {"fit": "stretch", "size_hw": [8, 8]})
    golden = seal(load_package(str(write_package(tmp_path, spec))), images)
    assert [output.name for output in golden.record.images[0].outputs] == ["means", "number"]
    assert golden.arrays["01.output.1"].tolist() == [1.0]
