from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from inference_core.errors import ConfigError
from inference_core.importing.source import find_source, is_hub_name, kind_of_content, normalise_model


def archive(*names: str, content: bytes = b"x") -> bytes:
    """A zip archive of small files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, content)
    return buffer.getvalue()


def saved(value: Any, **options: Any) -> bytes:
    """What ``torch.save`` writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


WEIGHTS = {"a.weight": torch.zeros(2)}
CHECKPOINT = {"state_dict": WEIGHTS, "pytorch-lightning_version": "2.4.0"}

CONTENTS: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "text": (b"hello", None),
    "tflite": (b"\x1c\0\0\0TFL3", "tflite"),
    "tflite with a zip behind": (b"\x1c\0\0\0TFL3" + archive("labels.txt"), "tflite"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "keras"),
    "keras": (archive("metadata.json", "config.json", "model.weights.h5"), "keras"),
    "program": (archive("m/archive_format", "m/data.pkl"), "torch_export"),
    "torchscript": (archive("m/constants.pkl", "m/data.pkl"), "torchscript"),
    "state dict": (saved(WEIGHTS), "state_dict"),
    "lightning": (saved(CHECKPOINT), "lightning"),
    "old lightning": (saved(CHECKPOINT, _use_new_zipfile_serialization=False), "lightning"),
    "another zip": (archive("a.txt"), None),
}


@pytest.mark.parametrize(("data", "kind"), CONTENTS.values(), ids=CONTENTS.keys())
def test_content_tells_the_kind(data: bytes, kind: str | None) -> None:
    assert kind_of_content(io.BytesIO(data)) == kind


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        pytest.param("m.onnx", b"", "onnx", id="onnx"),
        pytest.param("m.ONNX", b"", "onnx", id="capitals"),
        pytest.param("m.xml", b"<xml/>", "openvino", id="openvino"),
        pytest.param("m.safetensors", b"", "state_dict", id="safetensors"),
        pytest.param("m.pt", archive("m/constants.pkl"), "torchscript", id="pt-torchscript"),
        pytest.param("m.pt", saved(WEIGHTS), "state_dict", id="pt-state-dict"),
        pytest.param("m.pt", b"\x80\x02old pickle", "state_dict", id="pt-old"),
        pytest.param("m.pth", archive("m/archive_format"), "torch_export", id="pth-program"),
        pytest.param("m.ckpt", saved(CHECKPOINT), "lightning", id="ckpt"),
        pytest.param("m.ckpt", saved(WEIGHTS), "state_dict", id="ckpt-without-lightning"),
        pytest.param("weights", saved(CHECKPOINT), "lightning", id="no-ending"),
        pytest.param("m.tflite", b"\x1c\0\0\0TFL3", "tflite", id="tflite"),
    ],
)
def test_files(name: str, data: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    source = find_source(str(tmp_path / name))
    assert (source.kind, source.uri, source.text) == (kind, f"file://{tmp_path / name}", str(tmp_path / name))


@pytest.mark.parametrize(
    ("files", "kind", "below"),
    [
        pytest.param(["model.yaml", "config.json"], "package", "", id="package"),
        pytest.param(["saved_model.pb", "variables/x"], "savedmodel", "", id="savedmodel"),
        pytest.param(["config.json", "model.safetensors"], "huggingface", "", id="huggingface"),
        pytest.param(["net.xml", "net.bin", "metadata.yaml"], "openvino", "/net.xml", id="openvino"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"], ids=["", "slash"])
def test_folders(files: list[str], kind: str, below: str, slash: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    source = find_source(f"{tmp_path}{slash}")
    assert (source.kind, source.uri) == (kind, f"file://{tmp_path}{below}")


def test_the_file_that_makes_a_package(tmp_path: Path) -> None:
    assert find_source(str(tmp_path / "model.yaml")).uri == f"file://{tmp_path}"


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [("timm:resnet18.a1_in1k", "timm", "resnet18.a1_in1k"), ("hf:google/vit@v1", "huggingface", "google/vit@v1")],
    ids=["timm", "hf"],
)
def test_names_on_a_hub(text: str, kind: str, name: str) -> None:
    source = find_source(text)
    assert (source.kind, source.uri, normalise_model(text), is_hub_name(text)) == (kind, name, text, True)


def test_a_place_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert normalise_model("m.onnx") == f"file://{tmp_path}/m.onnx"
    assert normalise_model("s3://bucket/m.onnx") == "s3://bucket/m.onnx"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("timm:", r"model must have a name behind timm:, got 'timm:'", id="no-name"),
        pytest.param("resnet18", r"did you mean timm:resnet18 or hf:resnet18\?", id="bare-name"),
        pytest.param("absent.onnx", r"got absent\.onnx, where nothing is; check the path", id="absent"),
        pytest.param("notes.txt", r"must be one that can be imported .*notes\.txt; convert it", id="text"),
        pytest.param(".", r"must be a folder with a model\.yaml.*got \.; name the file itself", id="folder"),
    ],
)
def test_what_is_no_model(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=message):
        find_source(text)


def test_secrets_are_not_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        find_source("memory://x/m.onnx?token=secret")
    assert "secret" not in str(refused.value)
