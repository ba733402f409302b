"""Which files beside an ``.onnx`` hold its tensors, read from the graph without any library.

A tensor of more than 2 GB, or any that an exporter likes to, lies in another file, which the graph names. Only the few
fields on the way to these names are looked at; pixels of tensors are skipped, not copied.

Source: onnx/onnx, ``onnx/onnx.proto``; Protocol Buffers, Encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from inference_core.errors import ModelError

MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, SPARSE, FUNCTION, ENTRY, TRAINING = range(9)
"""Kinds of messages between the file and a name."""

WAY: dict[int, dict[int, int]] = {
    MODEL: {7: GRAPH, 20: TRAINING, 25: FUNCTION},
    GRAPH: {1: NODE, 5: TENSOR, 15: SPARSE},
    NODE: {5: ATTRIBUTE},
    ATTRIBUTE: {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE},
    SPARSE: {1: TENSOR, 2: TENSOR},
    FUNCTION: {7: NODE},
    TRAINING: {1: GRAPH, 2: GRAPH},
    TENSOR: {13: ENTRY},
}
"""For each kind, the numbers of the fields that lead on, and to what."""

KEY_FIELD, VALUE_FIELD = 1, 2
LOCATION = b"location"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""


def list_side_files(graph: bytes) -> list[str]:
    """Paths relative to the graph's folder, sorted; [] where all tensors lie inside.

    Args:
        graph: an ``.onnx`` file; of other bytes nothing is found.

    Raises:
        ModelError: a path would leave the folder.
    """
    try:
        found = {bytes(name).decode() for name in find_locations(memoryview(graph), kind=MODEL)}
    except (IndexError, RecursionError, UnicodeDecodeError):
        return []  # no such graph: who opens it says why
    for path in found:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or "\\" in path or ":" in path or ".." in parts:
            raise ModelError(
                f"the graph must keep its tensors in files beside it, got {path!r}; save it again with a plain name"
            )
    return sorted(found)


def find_locations(message: memoryview, *, kind: int) -> Iterator[memoryview]:
    """Names of files in a message, all the way down."""
    if kind == ENTRY:
        fields = dict(read_fields(message))
        if bytes(fields.get(KEY_FIELD, b"")) == LOCATION and VALUE_FIELD in fields:
            yield fields[VALUE_FIELD]
        return
    way = WAY[kind]
    for number, value in read_fields(message):
        if number in way:
            yield from find_locations(value, kind=way[number])


def read_fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field that holds bytes; the others are passed over.

    Raises:
        IndexError: the bytes are no message.
    """
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        wire_type = tag & 7
        if wire_type == BYTES:
            length, position = read_varint(message, position)
            if position + length > len(message):
                raise IndexError("a field ends behind its message")
            yield tag >> 3, message[position : position + length]
            position += length
        elif wire_type == VARINT:
            _, position = read_varint(message, position)
        elif wire_type in (FIXED64, FIXED32):
            position += 8 if wire_type == FIXED64 else 4
        else:
            raise IndexError(f"there is no wire type {wire_type}")


def read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise IndexError("a number has more than 64 bits")
