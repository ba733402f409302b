"""Requests and answers of the Open Inference Protocol as gRPC's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serve.answers import ServedModel
from serve.errors import MalformedBodyError
from serve.oip import LARGE_BYTES, InferenceReply, InferenceRequest
from serve.oip_metadata import TensorMetadata, input_tensors, output_tensors, platform_of
from serve.oip_options import Parameter
from serve.oip_tensors import Binary, GivenTensor, check_output_parameters, shown, write_binary
from serve.protos import open_inference_pb2 as messages

CONTENTS_OF_TYPE = {"BYTES": "bytes_contents", "UINT8": "uint_contents"}
"""Where a message without raw data holds the elements of a datatype that some input has."""


def read_request(message: messages.ModelInferRequest, *, request_id: str) -> InferenceRequest:
    """A request out of its message.

    Raises:
        MalformedBodyError: inputs and raw data do not go together, or a parameter has no value.
    """
    return InferenceRequest(
        model=message.model_name,
        version=message.model_version,
        inputs=read_tensors(message),
        output_names=[read_output(output) for output in message.outputs],
        parameters=read_parameters(message.parameters),
        is_large=not message.raw_input_contents and message.ByteSize() > LARGE_BYTES,
        request_id=request_id,
    )


def read_tensors(message: messages.ModelInferRequest) -> list[GivenTensor]:
    """The inputs, each with its data."""
    raw: Sequence[bytes] = message.raw_input_contents
    if raw and len(raw) != len(message.inputs):
        raise MalformedBodyError(
            f"raw_input_contents must hold one entry for each of {len(message.inputs)} inputs, got {len(raw)}; send "
            "all inputs raw, or none"
        )
    return [
        GivenTensor(
            name=tensor.name,
            datatype=tensor.datatype,
            shape=tuple(tensor.shape),
            values=raw[index] if raw else read_contents(tensor),
        )
        for index, tensor in enumerate(message.inputs)
    ]


def read_contents(tensor: messages.ModelInferRequest.InferInputTensor) -> Binary | Sequence[Any]:
    """The elements of an input without raw data; empty for a datatype that no input has, which is refused later."""
    if "shared_memory_region" in tensor.parameters:
        raise MalformedBodyError(
            f"input {tensor.name} must hold its data, got a region of shared memory, which this service does not read; "
            "send the data"
        )
    field = CONTENTS_OF_TYPE.get(tensor.datatype)
    return [] if field is None else list(getattr(tensor.contents, field))


def read_output(output: messages.ModelInferRequest.InferRequestedOutputTensor) -> str:
    """The name of an output that is wanted."""
    check_output_parameters(output.parameters, name=output.name)
    name: str = output.name
    return name


def read_parameters(parameters: Mapping[str, messages.InferParameter]) -> dict[str, Parameter]:
    """Parameters as values."""
    return {name: read_parameter(name, parameter) for name, parameter in parameters.items()}


def read_parameter(name: str, parameter: messages.InferParameter) -> Parameter:
    """A parameter's value, whichever type it has."""
    choice = parameter.WhichOneof("parameter_choice")
    if choice is None:
        raise MalformedBodyError(f"parameter {shown(name)} must have a value, got none; give one or leave it out")
    value: Parameter = getattr(parameter, choice)
    return value


def reply_message(reply: InferenceReply, *, message_id: str) -> messages.ModelInferResponse:
    """An answer as a message; all outputs are raw."""
    message = messages.ModelInferResponse(model_name=reply.model.name, model_version=reply.model.version, id=message_id)
    for name, value in reply.parameters().items():
        message.parameters[name].string_param = value
    for output in reply.tensors():
        message.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
        message.raw_output_contents.append(bytes(write_binary(output)))
    return message


def metadata_message(model: ServedModel) -> messages.ModelMetadataResponse:
    """A model's metadata as a message."""
    message = messages.ModelMetadataResponse(name=model.name, versions=[model.version], platform=platform_of(model))
    message.inputs.extend(map(tensor_message, input_tensors(model)))
    message.outputs.extend(map(tensor_message, output_tensors(model)))
    return message


def tensor_message(tensor: TensorMetadata) -> messages.ModelMetadataResponse.TensorMetadata:
    """A tensor's metadata as a message."""
    return messages.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
