from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import load_package, model_digest
from inference_core.provenance import sha256_hex
from tests.specs import model_spec, spec_data

WEIGHTS = b"some weights"


def write(folder: Path, options: dict[str, Any] | None = None) -> Path:
    """A package whose weights are a few bytes: reading does not open them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.yaml").write_text(yaml.safe_dump(spec_data(options)))
    (folder / "tiny.onnx").write_bytes(WEIGHTS)
    return folder


@pytest.mark.parametrize("suffix", ["", "/", "/model.yaml"], ids=["folder", "slash", "file"])
def test_a_package_is_read_from_its_folder_or_its_file(tmp_path: Path, suffix: str) -> None:
    package = load_package(f"{write(tmp_path / 'tiny')}{suffix}")
    assert package.uri == f"file://{tmp_path}/tiny"
    assert package.weights_uri == f"file://{tmp_path}/tiny/tiny.onnx"
    assert package.weights.data == WEIGHTS
    assert package.spec == model_spec()
    assert "some weights" not in repr(package)


def test_a_package_is_read_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path))
    assert load_package("model.yaml").uri == load_package(".").uri == f"file://{tmp_path}"


@pytest.mark.parametrize("name", ["absent", "absent/model.yaml", "other_model.yaml", "tiny/tiny.onnx"])
def test_no_package_at_the_place(tmp_path: Path, name: str) -> None:
    write(tmp_path / "tiny")
    with pytest.raises(ConfigError, match=f"model must be a folder with a model.yaml, got .*{name}; check the path"):
        load_package(str(tmp_path / name))


def test_a_wrong_spec_names_its_file(tmp_path: Path) -> None:
    write(tmp_path, {"task": "guess"})
    with pytest.raises(ConfigError, match=r"file:///.*/model.yaml has 1 problem:\n  task: must be"):
        load_package(str(tmp_path))


def test_missing_weights(tmp_path: Path) -> None:
    write(tmp_path, {"weights": "other.onnx"})
    with pytest.raises(ModelError, match=r"weights must exist, got file://.*/other.onnx; correct 'weights' in model"):
        load_package(str(tmp_path))


def test_weights_of_another_digest(tmp_path: Path) -> None:
    write(tmp_path, {"weights_sha256": "0" * 64})
    with pytest.raises(ModelError, match=f"weights_sha256 must be that of .*, which is {sha256_hex(WEIGHTS)}, got 000"):
        load_package(str(tmp_path))
    write(tmp_path, {"weights_sha256": sha256_hex(WEIGHTS)})
    assert load_package(str(tmp_path)).weights.data == WEIGHTS


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("./tiny.onnx", id="dot"),
        pytest.param("sub/w.onnx", id="below"),
        pytest.param("{folder}/sub/w.onnx", id="absolute"),
        pytest.param("file://{folder}/sub/w.onnx", id="uri"),
    ],
)
def test_where_weights_may_lie(tmp_path: Path, place: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.onnx").write_bytes(WEIGHTS)
    write(tmp_path, {"weights": place.format(folder=tmp_path)})
    assert load_package(str(tmp_path)).weights.data == WEIGHTS


@pytest.mark.parametrize("place", ["", "../w.onnx", "a//b", "a/./b"])
@pytest.mark.parametrize("key", ["weights", "classes"])
def test_where_files_may_not_lie(tmp_path: Path, key: str, place: str) -> None:
    write(tmp_path, {key: place})
    with pytest.raises(ConfigError, match=f"{key}: must be a path below the package, an absolute path or a URI, got"):
        load_package(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("names.txt", b"red\ngreen\nlight blue\n", id="lines"),
        pytest.param("names.txt", b"red\r\n\r\n  green \nlight blue", id="windows-and-blank-lines"),
        pytest.param("names.txt", b"\xef\xbb\xbfred\ngreen\nlight blue", id="byte-order-mark"),
        pytest.param("labels", b"red\ngreen\nlight blue", id="no-suffix"),
        pytest.param("names.yaml", b"---\n# colours\n- red\n- green\n- light blue\n", id="yaml"),
        pytest.param("names.yml", b"[red, green, light blue]", id="yaml-flow"),
        pytest.param("names.json", b'[\n\t"red",\n\t"green",\n\t"light blue"\n]', id="json-with-tabs"),
    ],
)
def test_class_names_from_a_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    write(tmp_path, {"classes": name})
    assert load_package(str(tmp_path)).spec.classes == ("red", "green", "light blue")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("absent.txt", None, "classes: must name an existing file or be a list, got file://", id="absent"),
        pytest.param("empty.txt", b"\n", "classes must name at least one class, got none", id="empty"),
        pytest.param("photo.png", b"\x89PNG\r\n", "classes: must name a UTF-8 text file, got", id="binary"),
        pytest.param("latin.txt", "café".encode("latin-1"), "must name a UTF-8 text file, .* save it as", id="latin-1"),
        pytest.param("a.json", b'{"0": ["n01", "tench"]}', "must name a file that holds a list, got dict", id="index"),
        pytest.param("a.json", b"[1, 2", "classes: must name a readable file, got .*: Expecting", id="half-json"),
        pytest.param("a.json", b"[1, 2]", "classes: must be names, got 1 in .*; put it in quotes", id="numbers"),
        pytest.param("a.yaml", b"a: b", "must name a file that holds a list, got dict", id="mapping"),
        pytest.param("a.yaml", b"", "must name a file that holds a list, got NoneType", id="empty-yaml"),
        pytest.param("a.yaml", b"[a", "classes: must name a readable file, got .*: while parsing", id="half-yaml"),
        pytest.param("a.yaml", b"[yes, no]", "must be names, got True in .*; put it in quotes", id="yes-is-true"),
        pytest.param("a.txt", b"a\nb\na", "classes must be distinct, got a more than once", id="twice"),
    ],
)
def test_class_files_of_the_wrong_kind(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    write(tmp_path, {"classes": name})
    with pytest.raises(ConfigError, match=message):
        load_package(str(tmp_path))


def test_the_digest_is_of_what_predictions_depend_on(tmp_path: Path) -> None:
    digest = load_package(str(write(tmp_path / "a"))).digest
    assert digest == load_package(str(write(tmp_path / "b", {"name": "other"}))).digest
    assert digest == load_package(str(write(tmp_path / "c", {"weights_sha256": sha256_hex(WEIGHTS)}))).digest
    changed = [
        {"classes": ["red", "green", "yellow"]},
        {"output": {"top_k": 1}},
        {"output": {"activation": "sigmoid"}},
        {"calibration": {"temperature": 2.0}},
        {"input": {"fit": "letterbox", "size_hw": [8, 8]}},
        {"input": {"fit": "stretch", "size_hw": [8, 8], "decode": {"alpha": "black"}}},
    ]
    digests = {load_package(str(write(tmp_path / "d", options))).digest for options in changed}
    assert len(digests | {digest}) == len(changed) + 1
    assert model_digest(model_spec(), weights_sha256=sha256_hex(b"others")) != digest


def test_a_key_at_its_default_does_not_count(tmp_path: Path) -> None:
    digest = load_package(str(write(tmp_path / "a"))).digest
    said = {"output": {"top_k": 5, "activation": "softmax"}, "calibration": {"temperature": 1.0}, "postprocess": []}
    assert load_package(str(write(tmp_path / "b", said))).digest == digest


def test_the_digest_of_a_package_stays_from_version_to_version() -> None:
    # Results, golden images and commit records carry it. Where this fails, raise DIGEST_SCHEMA and say so to users.
    expected = "d62d19fea4599b0afed5c0d375df192883589d67c7d67bcbb1eafc9c79701306"
    assert model_digest(model_spec(), weights_sha256="0" * 64) == expected


def test_the_digest_does_not_depend_on_the_order_of_options() -> None:
    both = ['{"widths": [2, 4], "in_channels": 1}', '{"in_channels": 1, "widths": [2, 4]}']
    specs = [
        model_spec({"format": "state_dict", "architecture": {"name": "unet", "options": json.loads(text)}})
        for text in both
    ]
    assert model_digest(specs[0], weights_sha256="0") == model_digest(specs[1], weights_sha256="0")
