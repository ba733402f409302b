"""Tensors of the Open Inference Protocol: what a client gives, read and checked; what it gets, written.

Binary data is little-endian, row-major and without gaps; an element of BYTES follows its length as four bytes.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.records import ArrayRecord, Uint8Array
from serve.errors import MalformedBodyError

LENGTH_BYTES = 4
"""Before each element of BYTES."""
NUMPY_TYPES: Mapping[str, np.dtype[Any]] = {"INT64": np.dtype("<i8"), "FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
"""Datatypes of numbers that are given as answers."""

Binary = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTensor:
    """A tensor of a request, as it came."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Binary | Sequence[Any]
    """Binary data; or the elements, flat or nested as the shape, BYTES as bytes or as base64."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class GivenOutput(ArrayRecord):
    """A tensor of an answer."""

    name: str
    datatype: str
    """A key of ``NUMPY_TYPES``, or BYTES."""
    shape: tuple[int, ...]
    values: NDArray[Any] | list[bytes]
    """Numbers of the datatype's own type in ``shape``; or the elements of BYTES, flat."""
    is_text: bool = True
    """Whether elements of BYTES are UTF-8; JSON holds others as base64."""


def read_images(tensor: GivenTensor) -> list[bytes]:
    """The elements of a BYTES tensor, one for each image.

    Raises:
        MalformedBodyError: the data is not what the shape says.
    """
    if isinstance(tensor.values, bytes | memoryview):
        images = list(split_elements(memoryview(tensor.values), name=tensor.name))
    else:
        images = [read_element(value, name=tensor.name) for value in flatten(tensor.values)]
    check_count(len(images), tensor, unit="elements")
    return images


def read_pixels(tensor: GivenTensor) -> Uint8Array:
    """A UINT8 tensor as an array of its shape; binary data is not copied.

    Raises:
        MalformedBodyError: the data is not what the shape says.
    """
    values = tensor.values
    data = values if isinstance(values, bytes | memoryview) else read_numbers(values, name=tensor.name)
    check_count(len(data), tensor, unit="bytes")
    return np.frombuffer(data, np.uint8).reshape(tensor.shape)


def check_count(count: int, tensor: GivenTensor, *, unit: str) -> None:
    """Raise MalformedBodyError unless the shape asks for so many elements. Its product has no upper bound."""
    expected = math.prod(tensor.shape)
    if count != expected:
        raise MalformedBodyError(
            f"data of input {tensor.name} must be {expected} {unit} for shape {list(tensor.shape)}, got {count}; "
            "correct the shape or the data"
        )


def split_elements(data: memoryview, *, name: str) -> Iterator[bytes]:
    """The elements of BYTES as binary data.

    Raises:
        MalformedBodyError: a length leads beyond the end.
    """
    position, end = 0, len(data)
    while position < end:
        start = position + LENGTH_BYTES
        length = int.from_bytes(data[position:start], "little")
        position = start + length
        if position > end:
            raise MalformedBodyError(
                f"data of input {name} must be elements that each follow their length as four bytes, little-endian, "
                f"got a length of {length} with {max(end - start, 0)} bytes left; write the lengths before the elements"
            )
        yield bytes(data[start:position])


def flatten(values: Sequence[Any]) -> Iterator[Any]:
    """The elements of nested lists, row by row. Depth and length are those of a body that was read already."""
    waiting = [iter(values)]
    while waiting:
        for value in waiting[-1]:
            if isinstance(value, list):
                waiting.append(iter(value))
                break
            yield value
        else:
            waiting.pop()


def read_element(value: Any, *, name: str) -> bytes:
    """An element of BYTES: bytes as they are, text as base64.

    Raises:
        MalformedBodyError: neither.
    """
    if isinstance(value, bytes):
        return value
    try:
        if isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):  # the latter for text beyond ASCII
        pass
    raise MalformedBodyError(
        f"data of input {name} must be encoded images as base64 text, got {shown(value)}; encode the file's bytes, or "
        "send them as binary data"
    )


def read_numbers(values: Sequence[Any], *, name: str) -> bytes:
    """Elements of UINT8.

    Raises:
        MalformedBodyError: one is no whole number from 0 to 255.
    """
    try:
        return bytes(flatten(values))
    except (ValueError, TypeError):
        raise MalformedBodyError(
            f"data of input {name} must be whole numbers from 0 to 255, got others; send the model's prepared pixels, "
            "uint8 and not normalised"
        ) from None


def check_output_parameters(parameters: Mapping[str, Any], *, name: str) -> None:
    """Raise MalformedBodyError for parameters of an output that would change what it holds."""
    if "classification" in parameters:
        raise MalformedBodyError(
            f"output {name} must be asked for without classification, got it; ask for outputs class_id, score and "
            "label with the request's parameter top_k"
        )
    if "shared_memory_region" in parameters:
        raise MalformedBodyError(
            f"output {name} must come with the answer, got a region of shared memory, which this service does not "
            "write; leave it out"
        )


def shown(value: Any) -> str:
    """The beginning of a value, for a message."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def write_binary(output: GivenOutput) -> Binary:
    """The binary data of an output; numbers are not copied."""
    if not isinstance(output.values, list):
        return output.values.data.cast("B") if output.values.size else b""
    parts: list[bytes] = []
    for element in output.values:
        parts += (len(element).to_bytes(LENGTH_BYTES, "little"), element)
    return b"".join(parts)


def write_values(output: GivenOutput) -> list[Any]:
    """The elements of an output for JSON, flat."""
    if not isinstance(output.values, list):
        numbers: list[Any] = output.values.ravel().tolist()
        return numbers
    if output.is_text:
        return [element.decode() for element in output.values]
    return [base64.b64encode(element).decode() for element in output.values]
