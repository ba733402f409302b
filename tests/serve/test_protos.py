from __future__ import annotations

import subprocess
import sys

import pytest
from tritonclient.grpc import service_pb2

from serve.protos import open_inference_pb2 as messages
from serve.protos.write_modules import MODULE, TYPES, compile_modules


def test_the_modules_are_those_of_the_proto() -> None:
    module, types = compile_modules()
    assert MODULE.read_text() == module, "run: python -m serve.protos.write_modules"
    assert TYPES.read_text() == types, "run: python -m serve.protos.write_modules"


@pytest.mark.parametrize("name", sorted(messages.DESCRIPTOR.message_types_by_name))
def test_messages_have_the_fields_of_the_stock_client(name: str) -> None:
    ours, theirs = messages.DESCRIPTOR.message_types_by_name[name], service_pb2.DESCRIPTOR.message_types_by_name[name]
    assert fields_of(ours) == fields_of(theirs)


def fields_of(message: object) -> dict[str, object]:
    """Numbers, types and repetition of all fields, those of messages within too."""
    found = {
        field.name: (field.number, field.type, field.is_repeated, field.message_type and field.message_type.name)
        for field in message.fields  # type: ignore[attr-defined]
    }
    return found | {nested.name: fields_of(nested) for nested in message.nested_types}  # type: ignore[attr-defined]


def test_a_message_of_the_stock_client_is_read() -> None:
    theirs = service_pb2.ModelInferRequest(model_name="m", id="7", raw_input_contents=[b"abc"])
    theirs.parameters["top_k"].int64_param = 3
    theirs.inputs.add(name="image", datatype="BYTES", shape=[1])
    ours = messages.ModelInferRequest.FromString(theirs.SerializeToString())
    assert ours.parameters["top_k"].int64_param == 3
    assert ours.inputs[0].shape == [1]
    assert service_pb2.ModelInferRequest.FromString(ours.SerializeToString()) == theirs


@pytest.mark.parametrize(
    "order",
    [
        ("serve.protos.open_inference_pb2", "tritonclient.grpc"),
        ("tritonclient.grpc", "serve.protos.open_inference_pb2"),
    ],
    ids=["ours first", "theirs first"],
)
def test_both_can_be_imported_in_one_process(order: tuple[str, str]) -> None:
    code = "".join(f"import {name}\n" for name in order)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
