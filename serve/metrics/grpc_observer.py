"""Counts and logs gRPC calls, as an interceptor of the server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter
from typing import Any

import grpc
import grpc.aio

from serve.metrics.visit import CURRENT, Visit
from serve.metrics.visits import Visits

GRPC = "grpc"
ERROR_KIND = "millrace-error"
"""Trailing metadata of an error: its kind."""
KNOWN_CALLS = frozenset(
    {
        *("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelInfer"),
        *("ModelStreamInfer", "RepositoryIndex"),
    }
)


class GrpcObserver(grpc.aio.ServerInterceptor):  # type: ignore[misc] # grpc has no types
    """Tells of each call.

    Args:
        visits: told.
    """

    def __init__(self, visits: Visits) -> None:
        self._visits = visits

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], call_details: Any) -> Any:
        """The handler of a call, observed."""
        handler = await continuation(call_details)
        if handler is None:
            return None
        name = call_details.method.rpartition("/")[2]
        route = name if name in KNOWN_CALLS else "other"
        ways = {
            "request_deserializer": counting(handler.request_deserializer),
            "response_serializer": handler.response_serializer,
        }
        if handler.stream_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._streamed(handler.stream_stream, route), **ways)
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._answered(handler.stream_unary, route), **ways)
        return handler  # of a service that is not ours

    def _answered(self, call: Any, route: str) -> Any:
        async def observed(requests: AsyncIterator[Any], context: Any) -> Any:
            visit = self._begin(route)
            try:
                response = await call(requests, context)
                visit.status, visit.sent_bytes = "OK", response.ByteSize()
            finally:
                self._end(visit, context)
            return response

        return observed

    def _streamed(self, call: Any, route: str) -> Any:
        async def observed(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
            visit = self._begin(route)
            try:
                async for response in call(requests, context):
                    visit.sent_bytes += response.ByteSize()
                    yield response
                visit.status = "OK"
            finally:
                self._end(visit, context)

        return observed

    def _begin(self, route: str) -> Visit:
        visit = Visit(protocol=GRPC, method="", route=route, started_s=perf_counter())
        CURRENT.set(visit)  # each call has a context of its own
        self._visits.begin(visit)
        return visit

    def _end(self, visit: Visit, context: Any) -> None:
        if not visit.status:
            code = context.code()
            visit.status = code.name if isinstance(code, grpc.StatusCode) else "CANCELLED"
            visit.reason = dict(context.trailing_metadata() or ()).get(ERROR_KIND, "")
        self._visits.end(visit)


def counting(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Reads a message of a call and takes note of its size and of its name for itself."""

    def counted(data: bytes) -> Any:
        message = deserialize(data)
        visit = CURRENT.get()
        if visit is not None:
            visit.received_bytes += len(data)
            visit.request_id = visit.request_id or getattr(message, "id", "")[:64]
        return message

    return counted
