from __future__ import annotations

from pathlib import Path

import pytest

from inference_core import storage
from inference_core.errors import ModelError
from inference_core.models.weights import Weights, read_weights
from inference_core.provenance import sha256_hex

SAVED_MODEL = {"saved_model.pb": b"graph", "variables/variables.index": b"index", "variables/variables.data": b"data"}


def write_files(folder: Path, files: dict[str, bytes]) -> str:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return storage.normalise(str(folder))


def test_a_lone_file_has_its_own_digest(tmp_path: Path) -> None:
    write_files(tmp_path, {"net.onnx": b"graph"})
    weights = read_weights(storage.normalise(str(tmp_path / "net.onnx")), weights_format="onnx")
    assert (weights.name, weights.data, weights.num_bytes) == ("net.onnx", b"graph", 5)
    assert weights.sha256 == sha256_hex(b"graph")
    assert "graph" not in repr(weights)


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    weights = read_weights(write_files(tmp_path / "net.savedmodel", SAVED_MODEL), weights_format="savedmodel")
    assert dict(weights.files) == SAVED_MODEL
    assert weights.num_bytes == 14


def test_a_folder_is_read_from_an_object_store(s3_bucket: str) -> None:
    folder = storage.join(s3_bucket, "weights-folder", "net.savedmodel")
    for path, data in SAVED_MODEL.items():
        storage.create(storage.join(folder, path), data)
    weights = read_weights(folder, weights_format="savedmodel")
    assert dict(weights.files) == SAVED_MODEL


def test_the_digest_of_several_files_is_that_of_a_listing() -> None:
    listing = "".join(f"{path} {sha256_hex(data)}\n" for path, data in sorted(SAVED_MODEL.items()))
    assert Weights(name="net", files=SAVED_MODEL).sha256 == sha256_hex(listing.encode())


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({**SAVED_MODEL, "variables/variables.data": b"Data"}, id="content"),
        pytest.param({**SAVED_MODEL, "assets/words": b""}, id="one-more"),
        pytest.param({"saved_model.pb": b"graph", "variables/variables.index": b"index"}, id="one-less"),
        pytest.param(
            {"saved_model.pb": b"index", "variables/variables.index": b"graph", "variables/variables.data": b"data"},
            id="swapped",
        ),
    ],
)
def test_any_change_of_a_folder_changes_the_digest(files: dict[str, bytes]) -> None:
    assert Weights(name="net", files=files).sha256 != Weights(name="net", files=SAVED_MODEL).sha256


def test_order_and_name_of_a_folder_do_not_count() -> None:
    backwards = dict(reversed(SAVED_MODEL.items()))
    assert Weights(name="other", files=backwards).sha256 == Weights(name="net", files=SAVED_MODEL).sha256


def test_an_ir_is_read_with_its_weights_and_keeps_its_digest_under_another_name(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        write_files(tmp_path, {f"{name}.xml": b"graph", f"{name}.bin": b"data"})
        weights = read_weights(storage.normalise(str(tmp_path / f"{name}.xml")), weights_format="openvino")
        assert weights.name == name
        digests.add(weights.sha256)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        pytest.param("a.onnx", "onnx", r"weights must exist, got .*a\.onnx; correct 'weights'", id="no-file"),
        pytest.param("net", "savedmodel", r"the folder of a SavedModel, got .*net without saved_model\.pb", id="empty"),
        pytest.param("a.bin", "openvino", r"must name the \.xml of an OpenVINO model, got .*a\.bin", id="bin"),
        pytest.param("a.xml", "openvino", r"weights must exist, got .*a\.bin", id="xml-alone"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, path: str, kind: str, message: str) -> None:
    write_files(tmp_path, {"a.xml": b"graph"})
    with pytest.raises(ModelError, match=message):
        read_weights(storage.normalise(str(tmp_path / path)), weights_format=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("files", [pytest.param({"net": b"graph"}, id="file"), pytest.param(SAVED_MODEL, id="folder")])
def test_weights_on_disk_are_those_that_were_read(files: dict[str, bytes]) -> None:
    with Weights(name="net", files=files).on_disk() as path:
        found = [path] if path.is_file() else [place for place in path.rglob("*") if place.is_file()]
        assert sorted(place.read_bytes() for place in found) == sorted(files.values())
    assert not path.exists()
