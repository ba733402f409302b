"""Ask over gRPC, by the Open Inference Protocol."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import grpc

from inference_core.errors import ConfigError
from serve.protos import open_inference_pb2 as messages
from serve.replay.given import Given
from serve.replay.http_askers import MAX_PAUSE_S, NUM_TRIES, TIMEOUT_S

SERVICE = "/inference.GRPCInferenceService"
OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


class GrpcAsker:
    """Asks ``ModelInfer``. Of an image that cannot be used gRPC tells the status and the error, not the record.

    Args:
        url: host and port, with or without ``grpc://`` or ``http://``.
        model: as the service names it.
        key: API key, "" for none.

    Raises:
        ConfigError: the URL names no port.
    """

    def __init__(self, url: str, *, model: str, key: str = "") -> None:
        self._channel = grpc.insecure_channel(target_of(url), options=OPTIONS)
        self._infer = self._channel.unary_unary(
            f"{SERVICE}/ModelInfer",
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelInferResponse.FromString,
        )
        self._model = model
        self._metadata = metadata_of(key)

    def ask(self, image: bytes, *, with_mask: bool) -> Given:
        """See Asker."""
        request = messages.ModelInferRequest(model_name=self._model)
        request.inputs.add(name="image", datatype="BYTES", shape=[1])
        request.raw_input_contents.append(len(image).to_bytes(4, "little") + image)
        for name in ["row", "mask_png"] if with_mask else ["row"]:
            request.outputs.add(name=name)
        for attempt in range(NUM_TRIES):
            try:
                response = self._infer(request, timeout=TIMEOUT_S, metadata=self._metadata)
            except grpc.RpcError as exc:
                told = dict(exc.trailing_metadata() or ())
                pause_ms = told.get("grpc-retry-pushback-ms")
                if pause_ms is None or attempt == NUM_TRIES - 1:
                    return given_of_error(exc, told)
                time.sleep(min(int(pause_ms) / 1000, MAX_PAUSE_S))
            else:
                return given_of_response(response, with_mask=with_mask)
        raise AssertionError("the last try returns")

    def close(self) -> None:
        """See Asker."""
        self._channel.close()


def target_of(url: str) -> str:
    """Host and port as gRPC takes them.

    Raises:
        ConfigError: the URL names no port.
    """
    parts = urlsplit(url if "://" in url else f"grpc://{url}")
    if not parts.hostname or not parts.port:
        raise ConfigError(f"must name host and port of gRPC, got {url!r}; e.g. 127.0.0.1:8001", key="url")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port}"


def metadata_of(key: str) -> list[tuple[str, str]]:
    """What tells a service the key of a call."""
    return [("authorization", f"Bearer {key}")] if key else []


def list_models(url: str, *, key: str, timeout_s: float) -> list[str]:
    """Names of all models of a service, its default first.

    Raises:
        ConfigError: the URL names no port.
        grpc.RpcError: it does not answer.
    """
    with grpc.insecure_channel(target_of(url)) as channel:
        call = channel.unary_unary(
            f"{SERVICE}/RepositoryIndex",
            request_serializer=messages.RepositoryIndexRequest.SerializeToString,
            response_deserializer=messages.RepositoryIndexResponse.FromString,
        )
        found = call(messages.RepositoryIndexRequest(), timeout=timeout_s, metadata=metadata_of(key))
        return [model.name for model in found.models]


def given_of_response(response: Any, *, with_mask: bool) -> Given:
    """The row, and the mask, out of an answer."""
    elements = [raw[4:] for raw in response.raw_output_contents]  # one image: one element after its length
    found = dict(zip([output.name for output in response.outputs], elements, strict=True))
    return Given(
        values=json.loads(found["row"]),
        mask_png=found["mask_png"] if with_mask else None,
        model_digest=response.parameters["model_digest"].string_param,
    )


def given_of_error(error: Any, told: Mapping[str, str]) -> Given:
    """What an error says of an image."""
    status = told.get("millrace-status")
    if status is not None:
        return Given(values={"status": status, "error": error.details()}, is_whole=False)
    if told.get("millrace-error") == "too-large":
        return Given(values={"status": "too_large"}, is_whole=False)
    return Given(refusal=f"gRPC {error.code().name}: {error.details()}")
