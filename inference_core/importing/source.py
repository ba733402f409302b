"""What kind of model a name, a path or a URI leads to: told by its scheme, its content or, last, its ending."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.models.package import SPEC_FILE

Kind = Literal[
    "package",
    "timm",
    "huggingface",
    "lightning",
    "onnx",
    "keras",
    "tflite",
    "savedmodel",
    "openvino",
    "torchscript",
    "torch_export",
    "state_dict",
]

SCHEMES: Mapping[str, Kind] = {"timm:": "timm", "hf:": "huggingface"}
"""Names of models on a hub."""

FOLDER_MARKS: Mapping[str, Kind] = {
    SPEC_FILE: "package",
    "saved_model.pb": "savedmodel",
    "config.json": "huggingface",
}
"""Files that tell what a folder is."""

ENDINGS: Mapping[str, Kind] = {
    ".onnx": "onnx",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".tflite": "tflite",
    ".xml": "openvino",
    ".safetensors": "state_dict",
    ".ckpt": "lightning",
    ".pt2": "torch_export",
    ".pth": "state_dict",
    ".pt": "state_dict",
    ".bin": "state_dict",
}

PROGRAM_MARK = "archive_format"
"""File in an archive of ``torch.export.save``."""
LIGHTNING_MARK = b"pytorch-lightning_version"
"""Key of every Lightning checkpoint, as it stands in the pickle."""
MAX_PICKLE_BYTES = 8 << 20
"""Of a checkpoint older than archives: its keys stand before its tensors."""
KNOWN = "timm:NAME, hf:NAME, .onnx, .keras, .h5, .tflite, .xml, .pt, .pt2, .pth, .ckpt, .safetensors, or a folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model before it is a package."""

    text: str
    """As the user named it, without secrets."""
    kind: Kind
    uri: str
    """Where it lies, normalised; of hub models the name behind the scheme."""


def is_hub_name(text: str) -> bool:
    """Whether a text names a model on a hub rather than a place."""
    return text.startswith(tuple(SCHEMES))


def normalise_model(text: str) -> str:
    """A model's name or place in the one form that plans and comparisons use."""
    return text if is_hub_name(text) else storage.normalise(text)


def find_source(text: str) -> Source:
    """Recognise a model.

    Raises:
        ConfigError: nothing is there, or it is of no kind that is read.
    """
    shown = storage.mask_secrets(text)
    for scheme, kind in SCHEMES.items():
        if text.startswith(scheme):
            name = text.removeprefix(scheme)
            if not name:
                raise ConfigError(f"model must have a name behind {scheme}, got {shown!r}; e.g. {scheme}NAME")
            return Source(text=shown, kind=kind, uri=name)
    uri = storage.normalise(text)
    if uri.endswith(f"/{SPEC_FILE}"):
        return Source(text=shown, kind="package", uri=uri.removesuffix(f"/{SPEC_FILE}"))
    if storage.exists(uri):
        return Source(text=shown, kind=kind_of_file(uri), uri=uri)
    return find_in_folder(uri.rstrip("/"), shown=shown)


def find_in_folder(uri: str, *, shown: str) -> Source:
    """The model that a folder is, or that is the only one in it of OpenVINO's."""
    names = [found.path for found in storage.list_objects(uri, recursive=False)]
    for mark, kind in FOLDER_MARKS.items():
        if mark in names:
            return Source(text=shown, kind=kind, uri=uri)
    graphs = [name for name in names if name.endswith(".xml") and f"{name.removesuffix('.xml')}.bin" in names]
    if len(graphs) == 1:
        return Source(text=shown, kind="openvino", uri=storage.join(uri, graphs[0]))
    if names:
        raise ConfigError(
            f"model must be a folder with a {SPEC_FILE}, a saved_model.pb, a config.json or one .xml beside its .bin, "
            f"got {shown}; name the file itself"
        )
    is_word = not any(mark in shown for mark in "/\\.:")
    hint = f"did you mean timm:{shown} or hf:{shown}?" if is_word else "check the path"
    raise ConfigError(
        f"model must be a folder with a {SPEC_FILE}, or a model that can be imported ({KNOWN}), got {shown}, where "
        f"nothing is; {hint}"
    )


def kind_of_file(uri: str) -> Kind:
    """What one file is."""
    ending = next((known for known in ENDINGS if uri.lower().endswith(known)), "")
    kind = ENDINGS.get(ending)
    if kind in ("onnx", "openvino") or ending == ".safetensors":
        return kind or "onnx"  # no signature, or one that says no more
    with storage.open_for_read(uri) as file:
        told = kind_of_content(file) or kind
    if told is None:
        raise ConfigError(f"model must be one that can be imported ({KNOWN}), got {uri}; convert it")
    return told


def kind_of_content(file: BinaryIO) -> Kind | None:
    """What the content of a file says, None where it says nothing; of large files only parts are read."""
    head = file.read(8)
    if head[4:8] == b"TFL3":
        return "tflite"
    if head == b"\x89HDF\r\n\x1a\n":
        return "keras"
    try:
        with zipfile.ZipFile(file) as archive:
            return kind_of_archive(archive)
    except zipfile.BadZipFile:
        file.seek(0)
        return "lightning" if LIGHTNING_MARK in file.read(MAX_PICKLE_BYTES) else None


def kind_of_archive(archive: zipfile.ZipFile) -> Kind | None:
    """What a zip archive holds."""
    names = [name.rpartition("/")[2] for name in archive.namelist()]
    if "metadata.json" in names and "config.json" in names:
        return "keras"
    if PROGRAM_MARK in names:
        return "torch_export"
    if "constants.pkl" in names:
        return "torchscript"
    pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
    if not pickles:
        return None
    return "lightning" if any(LIGHTNING_MARK in archive.read(name) for name in pickles) else "state_dict"
