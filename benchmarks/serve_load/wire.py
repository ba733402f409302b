"""Requests as bytes, made once: what differs between two of the same image is a number behind its last byte.

Decoders stop at the end of the picture, and no cache has an answer for bytes that it never saw.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Form = Literal["raw", "v2"]
MARK_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One request, but for its mark."""

    head: bytes
    """Everything before it, headers included."""

    def parts(self, number: int) -> list[bytes]:
        """The request with its mark."""
        return [self.head, b"%0*d" % (MARK_BYTES, number)]


def read_images(folder: Path) -> list[bytes]:
    """The files of a folder, by name."""
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]


def build_wires(images: Sequence[bytes], *, host: str, path: str, form: Form, accept: str = "*/*") -> list[Wire]:
    """A request for each image."""
    return [build_wire(image, host=host, path=path, form=form, accept=accept) for image in images]


def build_wire(image: bytes, *, host: str, path: str, form: Form, accept: str) -> Wire:
    """One request."""
    before, headers = b"", ["Content-Type: image/jpeg"]
    if form == "v2":
        size = len(image) + MARK_BYTES
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size + 4}}
        text = json.dumps({"inputs": [tensor], "outputs": [{"name": "row"}]}).encode()
        before = text + size.to_bytes(4, "little")
        headers = ["Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {len(text)}"]
    length = len(before) + len(image) + MARK_BYTES
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Accept: {accept}", f"Content-Length: {length}", *headers]
    return Wire(head="\r\n".join([*lines, "", ""]).encode() + before + image)
