"""The Open Inference Protocol over gRPC: ``inference.GRPCInferenceService``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import grpc.aio

from serve.backend import Backend
from serve.config import ServeConfig
from serve.errors import MalformedBodyError, SlowSenderError, UnavailableError
from serve.grpc_service import Authorize, Context, InferenceService, refuse
from serve.protos import open_inference_pb2 as messages

SERVICE = "inference.GRPCInferenceService"
FRAME_BYTES = 64 * 1024
"""What a message may have beside its images."""


class GrpcServer:
    """A server that is bound but does not listen yet.

    Args:
        server: gRPC's.
        port: bound, also where the settings leave it open.
    """

    def __init__(self, server: Any, *, port: int) -> None:
        self._server = server
        self.port = port

    async def start(self) -> None:
        """Answer from now on."""
        await self._server.start()

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, and give what was accepted so much time."""
        await self._server.stop(grace_s)


def build_grpc_server(
    backend: Backend,
    config: ServeConfig,
    *,
    authorize: Authorize | None = None,
    shares_port: bool = False,
    interceptors: Sequence[Any] = (),
) -> GrpcServer:
    """The server of a configuration; call it on the event loop that it will run on.

    Args:
        backend: answers images.
        config: address, limits and times.
        authorize: see ``keys.authorizer``, with the keys of HTTP, so that a limit counts for both; None lets
            everybody.
        shares_port: whether other processes of this machine listen at the same port.
        interceptors: around every call, the first outermost.

    Raises:
        UnavailableError: the port is taken.
    """
    limits = config.limits
    server = grpc.aio.server(
        interceptors=interceptors,
        options=[
            ("grpc.max_receive_message_length", limits.max_body_bytes + FRAME_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", int(shares_port)),
            ("grpc.server_handshake_timeout_ms", int(config.http.header_timeout_s * 1000)),
        ],
        maximum_concurrent_rpcs=limits.max_connections,
    )
    add_service(InferenceService(backend, config, authorize=authorize), server, patience_s=config.http.body_timeout_s)
    address = f"{config.grpc.host}:{config.grpc.port}"
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise UnavailableError(f"grpc.port must be free, got {address}, which is not; choose another")
    return GrpcServer(server, port=port)


UNARY_CALLS: Mapping[str, Any] = {
    "ServerLive": messages.ServerLiveRequest,
    "ServerReady": messages.ServerReadyRequest,
    "ModelReady": messages.ModelReadyRequest,
    "ServerMetadata": messages.ServerMetadataRequest,
    "ModelMetadata": messages.ModelMetadataRequest,
    "ModelInfer": messages.ModelInferRequest,
    "RepositoryIndex": messages.RepositoryIndexRequest,
}
"""Calls with one request and one answer, and the class of their request."""


def single(method: Callable[[Any, Context], Awaitable[Any]], *, patience_s: float) -> Callable[[Any, Context], Any]:
    """A call that reads its one message itself, and gives up on a sender who keeps it waiting."""

    async def call(requests: Any, context: Context) -> Any:
        try:
            async with asyncio.timeout(patience_s):
                request = await context.read()
        except TimeoutError:
            late = SlowSenderError(f"message must come within {patience_s:g} s, got none; send it faster")
            return await refuse(late, context)
        if request is grpc.aio.EOF:
            return await refuse(MalformedBodyError("a call must have one message, got none; send it"), context)
        return await method(request, context)

    return call


def add_service(service: Any, server: Any, *, patience_s: float) -> None:
    """Register a service with a server.

    Args:
        service: an object with the calls as methods.
        server: gRPC's.
        patience_s: how long a call may wait for its message.
    """
    # As streams of requests, which are the same on the wire: so it is us who wait for the message, and not for ever.
    handlers = {
        name: grpc.stream_unary_rpc_method_handler(
            single(getattr(service, name), patience_s=patience_s),
            request_deserializer=request.FromString,
            response_serializer=_serialize,
        )
        for name, request in UNARY_CALLS.items()
    }
    handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
        service.ModelStreamInfer,
        request_deserializer=messages.ModelInferRequest.FromString,
        response_serializer=_serialize,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


def _serialize(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
