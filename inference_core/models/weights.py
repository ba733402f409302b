"""The files of a model, read whole: one file, a folder, or a graph with its weights beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from inference_core import storage
from inference_core.architecture_spec import Format
from inference_core.errors import MissingObjectError, ModelError
from inference_core.models.huggingface_folder import read_model_files
from inference_core.models.onnx_side_files import list_side_files
from inference_core.provenance import sha256_hex

IR_NAMES = {".xml": "model.xml", ".bin": "model.bin"}
"""OpenVINO's two files under names of their own, so that renaming them keeps the digest."""
GRAPH_NAME = "model.onnx"
"""An ONNX graph with tensors in other files, likewise; those keep the names that the graph calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a package's ``weights`` names, as bytes."""

    name: str
    """The file's or the folder's own name, for messages and for formats told by their ending."""
    files: Mapping[str, bytes] = field(repr=False)
    """By path below the folder; a lone file under ``name``."""

    @property
    def main(self) -> str | None:
        """Which of several files names the others; None of a lone file and of a folder."""
        names = (IR_NAMES[".xml"], GRAPH_NAME) if len(self.files) > 1 else ()
        return next((name for name in names if name in self.files), None)

    @property
    def data(self) -> bytes:
        """The bytes of a lone file, or of the one that names the others."""
        if self.main is not None:
            return self.files[self.main]
        (data,) = self.files.values()
        return data

    @property
    def num_bytes(self) -> int:
        """Bytes of all files."""
        return sum(len(data) for data in self.files.values())

    @property
    def sha256(self) -> str:
        """Of a lone file its SHA-256; of several that of the lines ``<path> <sha256>``, sorted by path."""
        if len(self.files) == 1:
            return sha256_hex(self.data)
        lines = [f"{path} {sha256_hex(data)}\n" for path, data in sorted(self.files.items())]
        return sha256_hex("".join(lines).encode())

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """The file that a library opens, or the folder, at a local path; gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="millrace-weights-") as folder:
            root = Path(folder) / self.name
            for path, data in self.files.items():
                place = root if path == self.name else root / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            yield root if self.main is None else root / self.main


def read_weights(uri: str, *, weights_format: Format) -> Weights:
    """Read what ``weights`` names.

    Args:
        uri: of the file; of the folder for ``savedmodel`` and ``huggingface``; for ``openvino`` of the ``.xml``, which
            lies beside its ``.bin``; for ``onnx`` of the graph, which lies beside the files that it names.
        weights_format: decides which of these it is.

    Raises:
        ModelError: nothing is there, or a part is missing.
    """
    name = uri.rstrip("/").rpartition("/")[2]
    if weights_format == "savedmodel":
        return Weights(name=name, files=read_folder(uri))
    if weights_format == "huggingface":
        names = (found.path for found in storage.list_objects(uri, recursive=False))
        return Weights(
            name=name, files=read_model_files(names, lambda path: read_file(storage.join(uri, path)), uri=uri)
        )
    if weights_format == "onnx":
        return Weights(name=name, files=read_graph(uri, name=name))
    if weights_format == "openvino":
        stem = uri.removesuffix(".xml")
        if stem == uri:
            raise ModelError(f"weights must name the .xml of an OpenVINO model, got {uri}; correct 'weights'")
        return Weights(
            name=name.removesuffix(".xml"), files={own: read_file(stem + end) for end, own in IR_NAMES.items()}
        )
    return Weights(name=name, files={name: read_file(uri)})


def read_file(uri: str) -> bytes:
    """The bytes of one file."""
    try:
        return storage.read_bytes(uri)
    except MissingObjectError as exc:
        raise ModelError(f"weights must exist, got {uri}; correct 'weights' in model.yaml or add the file") from exc


def read_graph(uri: str, *, name: str) -> dict[str, bytes]:
    """The bytes of an ONNX graph and of the files beside it that hold its tensors."""
    graph = read_file(uri)
    side_files = list_side_files(graph)
    if not side_files:
        return {name: graph}
    if GRAPH_NAME in side_files:
        raise ModelError(f"the graph must not keep its tensors in a file called {GRAPH_NAME}, got {uri}; save it again")
    folder = uri.removesuffix(name).rstrip("/")
    return {GRAPH_NAME: graph, **{path: read_side_file(storage.join(folder, path), uri=uri) for path in side_files}}


def read_side_file(side_uri: str, *, uri: str) -> bytes:
    """The bytes of a file that a graph names."""
    try:
        return storage.read_bytes(side_uri)
    except MissingObjectError as exc:
        raise ModelError(
            f"the graph {uri} keeps tensors in {side_uri}, which must lie there; put it beside the graph, or save the "
            "graph with its tensors inside"
        ) from exc


def read_folder(uri: str) -> dict[str, bytes]:
    """The bytes of every file below a SavedModel's folder, by path."""
    files = {found.path: read_file(storage.join(uri, found.path)) for found in storage.list_objects(uri)}
    if "saved_model.pb" not in files:
        raise ModelError(
            f"weights must be the folder of a SavedModel, got {uri} without saved_model.pb; correct 'weights' in "
            "model.yaml or add the file"
        )
    return files
