"""What the calls of ``inference.GRPCInferenceService`` answer."""

from __future__ import annotations

import functools
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc

from serve.answers import ServedModel
from serve.backend import Backend
from serve.config import ServeConfig
from serve.errors import BadImageError, InternalError, ServeError, UnknownModelError
from serve.grpc_messages import metadata_message, read_request, reply_message
from serve.keys import KeyUse
from serve.oip import beside, infer
from serve.oip_metadata import EXTENSIONS, SERVER_NAME, index_json, lazy_models, server_version
from serve.protos import open_inference_pb2 as messages

FINAL_PARAMETER = "triton_enable_empty_final_response"
"""With it, clients of a stream want to be told which answer is a request's last; each is."""

Authorize = Callable[[Iterable[tuple[str, str | bytes]]], KeyUse]
"""Finds the key in the metadata of a call and counts one request for it; raises ServeError where it may not."""
Context = Any
"""``grpc.aio.ServicerContext``; grpc has no types."""

logger = logging.getLogger(__name__)


def answered(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """A call whose errors become gRPC's: the status, the message and, as metadata, what clients may decide by."""

    @functools.wraps(method)
    async def answer(service: Any, request: Any, context: Context) -> Any:
        try:
            return await guarded(method(service, request, context))
        except ServeError as error:
            return await refuse(error, context)

    return answer


async def refuse(error: ServeError, context: Context) -> None:
    """End a call with an error."""
    await context.abort(grpc.StatusCode[error.grpc_code], str(error), trailing_metadata(error))


async def guarded(work: Awaitable[Any]) -> Any:
    """The request guard: nothing of ours leaves the service but an id.

    Raises:
        ServeError: whatever was raised, as callers may see it.
    """
    try:
        return await work
    except ServeError:
        raise
    except Exception as exc:
        raise internal_error() from exc


def internal_error() -> InternalError:
    """The error that stands for the exception under way, which is logged under the same id."""
    error_id = os.urandom(8).hex()
    logger.exception("request failed, id %s", error_id)
    return InternalError(f"the request failed for a reason of ours; report the id {error_id}")


def trailing_metadata(error: ServeError) -> tuple[tuple[str, str], ...]:
    """What is told beside an error's message: its kind, an image's status and when to try again."""
    pairs = [("millrace-error", error.kind)]
    if isinstance(error, BadImageError):
        pairs.append(("millrace-status", error.status))
    if error.retry_after_s is not None:
        pairs.append(("grpc-retry-pushback-ms", str(error.retry_after_s * 1000)))
    return tuple(pairs)


class InferenceService:
    """Answers the protocol's calls.

    Args:
        backend: answers images.
        config: limits and times.
        authorize: see ``grpc_api.build_grpc_server``.
    """

    def __init__(self, backend: Backend, config: ServeConfig, *, authorize: Authorize | None = None) -> None:
        self._backend = backend
        self._limits = config.limits
        self._lazy = lazy_models(backend, config)
        self._authorize = authorize

    @answered
    async def ServerLive(self, request: Any, context: Context) -> Any:  # noqa: N802 - the protocol's names
        """Yes, as soon as it answers."""
        return messages.ServerLiveResponse(live=True)

    @answered
    async def ServerReady(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Whether all models can answer."""
        models = await self._backend.models()
        return messages.ServerReadyResponse(ready=all(map(self._is_ready, models)))

    @answered
    async def ModelReady(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Whether one model can answer; no for one that is unknown."""
        self._use_key(context)
        try:
            model = await self._backend.model(request.name, version=request.version)
        except UnknownModelError:
            return messages.ModelReadyResponse(ready=False)
        return messages.ModelReadyResponse(ready=self._is_ready(model))

    @answered
    async def ServerMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Name, version and extensions."""
        self._use_key(context)
        return messages.ServerMetadataResponse(name=SERVER_NAME, version=server_version(), extensions=EXTENSIONS)

    @answered
    async def ModelMetadata(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Inputs and outputs of a model."""
        self._use_key(context)
        return metadata_message(await self._backend.model(request.name, version=request.version))

    @answered
    async def RepositoryIndex(self, request: Any, context: Context) -> Any:  # noqa: N802
        """All models and their states."""
        self._use_key(context)
        entries = [index_json(model) for model in await self._backend.models() if model.is_ready or not request.ready]
        return messages.RepositoryIndexResponse(models=entries)

    @answered
    async def ModelInfer(self, request: Any, context: Context) -> Any:  # noqa: N802
        """The answer to one request."""
        return await self._infer(request, context)

    async def ModelStreamInfer(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:  # noqa: N802
        """Answers to the requests of a stream, in order; an error is an answer too."""
        async for request in requests:
            wants_final = FINAL_PARAMETER in request.parameters
            request.parameters.pop(FINAL_PARAMETER, None)
            try:
                response = await guarded(self._infer(request, context))
            except ServeError as error:
                yield messages.ModelStreamInferResponse(
                    error_message=str(error), infer_response=messages.ModelInferResponse(id=request.id)
                )
                continue
            if wants_final:
                response.parameters["triton_final_response"].bool_param = True
            yield messages.ModelStreamInferResponse(infer_response=response)

    async def _infer(self, message: Any, context: Context) -> Any:
        use = self._use_key(context)
        left_s = context.time_remaining()
        timeout_s = self._limits.timeout_s if left_s is None else min(self._limits.timeout_s, left_s)
        reply = await infer(
            self._backend,
            read_request(message, request_id=message.id),
            limits=self._limits,
            deadline_s=time.time() + timeout_s,
            charge=None if use is None else lambda count: use.charge(count - 1),
        )
        return await beside(lambda: reply_message(reply, message_id=message.id), is_heavy=reply.is_heavy)

    def _is_ready(self, model: ServedModel) -> bool:
        return model.is_ready or model.name in self._lazy

    def _use_key(self, context: Context) -> KeyUse | None:
        return None if self._authorize is None else self._authorize(context.invocation_metadata())
