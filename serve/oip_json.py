"""Requests and answers of the Open Inference Protocol as HTTP bodies: JSON, and binary data after it.

Source: the protocol's REST specification, and Triton's binary tensor data extension.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve.errors import MalformedBodyError
from serve.json_text import to_json
from serve.oip import LARGE_BYTES, InferenceReply, InferenceRequest
from serve.oip_options import Parameter
from serve.oip_tensors import (
    Binary,
    GivenOutput,
    GivenTensor,
    check_output_parameters,
    shown,
    write_binary,
    write_values,
)

BINARY_OUTPUT = "binary_data_output"
BINARY_SIZE = "binary_data_size"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """How a client wants its answer."""

    message_id: str = ""
    """Its own name for the request, given back."""
    is_binary: bool = False
    """Whether outputs are binary data where nothing else is said."""
    is_binary_of: Mapping[str, bool] = field(default_factory=dict)
    """By output, where something is said."""

    def wants_binary(self, name: str) -> bool:
        """Whether an output is wanted as binary data."""
        return self.is_binary_of.get(name, self.is_binary)


def read_body_request(
    body: bytes, *, json_bytes: int | None, model: str, version: str, request_id: str
) -> tuple[InferenceRequest, AnswerForm]:
    """A request out of its body.

    Args:
        body: whole.
        json_bytes: of the JSON at its beginning, None where it is all of it.
        model: as the path says.
        version: likewise, "" where it says none.
        request_id: of the transport.

    Raises:
        MalformedBodyError: it is no request.
    """
    fields, binary = read_json(body, json_bytes=json_bytes)
    parameters = read_parameters(fields.get("parameters"))
    is_binary = parameters.pop(BINARY_OUTPUT, False)
    if not isinstance(is_binary, bool):
        raise MalformedBodyError(f"parameter {BINARY_OUTPUT} must be true or false, got {is_binary!r}; correct it")
    outputs = dict(map(read_output, objects(fields, "outputs")))
    form = AnswerForm(
        message_id=text_of(fields, "id"),
        is_binary=is_binary,
        is_binary_of={name: is_kept for name, is_kept in outputs.items() if is_kept is not None},
    )
    request = InferenceRequest(
        model=model,
        version=version,
        inputs=read_tensors(objects(fields, "inputs"), binary),
        output_names=list(outputs),
        parameters=parameters,
        is_text=not is_binary,
        is_large=len(body) - len(binary) > LARGE_BYTES,
        request_id=request_id,
    )
    return request, form


def read_json(body: bytes, *, json_bytes: int | None) -> tuple[dict[str, Any], memoryview]:
    """The JSON object of a body, and what follows it."""
    size = len(body) if json_bytes is None else json_bytes
    if size > len(body):
        raise MalformedBodyError(
            f"Inference-Header-Content-Length must be at most the body's {len(body)} bytes, got {size}; it is the size "
            "of the JSON before the binary data"
        )
    try:
        fields = json.loads(body if size == len(body) else body[:size])
    except (ValueError, RecursionError):
        raise MalformedBodyError(
            "body must be a JSON object, got something else; send binary data after it, with its own size in the "
            "header Inference-Header-Content-Length"
        ) from None
    if not isinstance(fields, dict):
        raise MalformedBodyError(f"body must be a JSON object, got {type(fields).__name__}; see GET /v2/models")
    return fields, memoryview(body)[size:]


def objects(fields: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    """A list of objects out of JSON, none where the key is absent."""
    found = fields.get(key, [])
    if isinstance(found, list) and all(isinstance(entry, dict) for entry in found):
        return found
    raise MalformedBodyError(f"{key} must be a list of objects, got {shown(found)}; correct it")


def text_of(fields: Mapping[str, Any], key: str) -> str:
    """A text out of JSON, "" where the key is absent."""
    found = fields.get(key, "")
    if isinstance(found, str):
        return found
    raise MalformedBodyError(f"{key} must be a text, got {shown(found)}; correct it")


def read_parameters(found: Any) -> dict[str, Parameter]:
    """Parameters of a request or a tensor."""
    if found is None:
        return {}
    if isinstance(found, dict) and all(isinstance(value, bool | int | float | str) for value in found.values()):
        return dict(found)
    raise MalformedBodyError(
        f"parameters must be an object of texts, numbers, true and false, got {shown(found)}; correct it"
    )


def read_output(fields: Mapping[str, Any]) -> tuple[str, bool | None]:
    """The name of a wanted output, and whether it is wanted as binary data."""
    name = text_of(fields, "name")
    parameters = read_parameters(fields.get("parameters"))
    check_output_parameters(parameters, name=name)
    is_binary = parameters.get("binary_data")
    if is_binary is None or isinstance(is_binary, bool):
        return name, is_binary
    raise MalformedBodyError(f"binary_data of output {name} must be true or false, got {is_binary!r}; correct it")


def read_tensors(tensors: Sequence[Mapping[str, Any]], binary: memoryview) -> list[GivenTensor]:
    """The inputs; those with a size of binary data take it from what follows the JSON, in their order.

    Raises:
        MalformedBodyError: the sizes are not all of what follows, or an input has no data.
    """
    found, start = [], 0
    for tensor in tensors:
        name, size = text_of(tensor, "name"), read_size(tensor)
        end = start + (size or 0)
        if end > len(binary):
            raise MalformedBodyError(
                f"{BINARY_SIZE} of input {name} must be at most the {len(binary) - start} bytes that are left after "
                f"the JSON, got {size}; correct it, or Inference-Header-Content-Length"
            )
        found.append(
            GivenTensor(
                name=name,
                datatype=text_of(tensor, "datatype"),
                shape=read_shape(tensor.get("shape"), name=name),
                values=read_data(tensor, name=name) if size is None else binary[start:end],
            )
        )
        start = end
    if start != len(binary):
        raise MalformedBodyError(
            f"{BINARY_SIZE} of all inputs must be the {len(binary)} bytes after the JSON together, got {start}; "
            "correct them, or Inference-Header-Content-Length"
        )
    return found


def read_size(tensor: Mapping[str, Any]) -> int | None:
    """Bytes of an input's binary data, None where its data is in the JSON."""
    parameters = read_parameters(tensor.get("parameters"))
    if "shared_memory_region" in parameters:
        raise MalformedBodyError(
            f"input {shown(tensor.get('name'))} must hold its data, got a region of shared memory, which this service "
            "does not read; send the data"
        )
    size = parameters.get(BINARY_SIZE)
    if size is None or (isinstance(size, int) and not isinstance(size, bool) and size >= 0):
        return size
    raise MalformedBodyError(f"{BINARY_SIZE} must be a whole number of bytes, got {size!r}; correct it")


def read_shape(shape: Any, *, name: str) -> tuple[int, ...]:
    """An input's shape; which sizes it may have is not checked yet."""
    if isinstance(shape, list) and all(isinstance(size, int) and not isinstance(size, bool) for size in shape):
        return tuple(shape)
    raise MalformedBodyError(f"shape of input {name} must be a list of whole numbers, got {shown(shape)}; correct it")


def read_data(tensor: Mapping[str, Any], *, name: str) -> Sequence[Any]:
    """An input's elements out of the JSON."""
    data = tensor.get("data")
    if isinstance(data, list):
        return data
    raise MalformedBodyError(
        f"data of input {name} must be a list, or binary data after the JSON whose size the parameter {BINARY_SIZE} "
        f"says, got {shown(data)}; add it"
    )


def write_reply(reply: InferenceReply, form: AnswerForm) -> tuple[bytes, int | None]:
    """The body of an answer, and the size of the JSON at its beginning; None where it is all of it."""
    head: dict[str, Any] = {"model_name": reply.model.name, "model_version": reply.model.version}
    if form.message_id:
        head["id"] = form.message_id
    head["parameters"] = reply.parameters()
    written = [write_output(output, is_binary=form.wants_binary(output.name)) for output in reply.tensors()]
    head["outputs"] = [fields for fields, _ in written]
    text = to_json(head)
    parts = [data for _, data in written if data is not None]
    return (b"".join([text, *parts]), len(text)) if parts else (text, None)


def write_output(output: GivenOutput, *, is_binary: bool) -> tuple[dict[str, Any], Binary | None]:
    """An output's part of the JSON, and its binary data where it has some."""
    fields: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
    if is_binary:
        data = write_binary(output)
        fields["parameters"] = {BINARY_SIZE: len(data)}
        return fields, data
    if not output.is_text:
        fields["parameters"] = {"content_type": "base64"}
    fields["data"] = write_values(output)
    return fields, None
