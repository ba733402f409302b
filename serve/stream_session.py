"""One WebSocket stream: frames in, results out in order. ``serve.stream_messages`` shows what is said.

Three tasks: one reads, one hands frames to the backend as places come free, one sends what it gave in the order of the
frames. When one of them fails, or the client goes, all are cancelled, and with them the frames in the backend's queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from serve.answer_json import extras_of, wants_extras
from serve.answers import PredictRequest
from serve.backend import Backend
from serve.body_budget import BodyBudget
from serve.config import ServeConfig
from serve.errors import (
    BodyTooLargeError,
    InternalError,
    InvalidRequestError,
    MalformedBodyError,
    OverloadedError,
    ServeError,
    SlowSenderError,
    UnknownModelError,
)
from serve.frame_slot import Frame, FrameSlot
from serve.gate import unexpected_error
from serve.json_text import to_json
from serve.keys import SCOPE_KEY, KeyUse
from serve.request_id import request_id_of
from serve.stream_messages import (
    DONE,
    Hello,
    check_end,
    close_code,
    end_message,
    error_message,
    read_hello,
    ready_message,
    result_message,
)

logger = logging.getLogger(__name__)

Ordered = asyncio.Queue[asyncio.Task[dict[str, Any]] | None]
"""Frames that are being predicted, in their order; None after the last."""


class Stream:
    """One accepted stream.

    Args:
        socket: accepted.
        backend: the models.
        config: of the service.
        budget: of the process.
    """

    def __init__(self, socket: WebSocket, backend: Backend, config: ServeConfig, *, budget: BodyBudget) -> None:
        self._socket = socket
        self._backend = backend
        self._limits = config.limits
        self._idle_s = config.stream.idle_timeout_s
        self._max_in_flight = config.stream.max_in_flight
        self._budget = budget
        self._held_bytes = 0
        self._request_id = request_id_of(socket.scope)
        self._num_frames = self._num_answered = self._num_dropped = 0

    async def run(self) -> None:
        """From the hello to the close."""
        try:
            hello = await self._begin()
            await self._exchange(hello)
        except ServeError as exc:
            await self._close(exc)
        except WebSocketDisconnect:
            raise
        except Exception as exc:  # the request guard: the client is told an id and no more
            logger.error("stream %s failed", self._request_id, exc_info=exc)
            await self._close(unexpected_error(self._request_id))
        else:
            await self._socket.close(DONE)
        finally:
            self._budget.give(self._held_bytes)

    async def _begin(self) -> Hello:
        """Read the hello and say what holds."""
        message = await self._receive()
        if not isinstance(message, str):
            raise MalformedBodyError("the first message must be the hello as text, got bytes; send it before frames")
        hello = read_hello(message, max_in_flight=self._max_in_flight)
        facts = await self._backend.model(hello.model or self._backend.default_model())
        await self._send(
            ready_message(
                facts,
                hello,
                max_frame_bytes=self._limits.max_image_bytes,
                idle_timeout_s=self._idle_s,
                request_id=self._request_id,
            )
        )
        return hello.model_copy(update={"model": facts.name})

    async def _exchange(self, hello: Hello) -> None:
        """Answer frames until the client says that it was the last."""
        slot = FrameSlot(keeps_newest=hello.drop == "stale", drop=self._drop)
        in_order: Ordered = asyncio.Queue()
        places = asyncio.Semaphore(hello.max_in_flight)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(slot))
                group.create_task(self._hand_over(slot, in_order, places, hello, group))
                group.create_task(self._write(in_order, places))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None  # the others are of tasks that it took with it

    async def _read(self, slot: FrameSlot) -> None:
        """Frames from the client to where they wait."""
        while True:
            message = await self._receive()
            if isinstance(message, str):
                check_end(message)
                slot.finish()
                return
            if len(message) > self._limits.max_image_bytes:
                raise BodyTooLargeError(
                    f"frame must be at most {self._limits.max_image_bytes} bytes, got {len(message)}; send smaller ones"
                )
            frame = self._hold(message)
            self._num_frames += 1
            await slot.put(frame)

    def _hold(self, data: bytes) -> Frame:
        """A frame, whose bytes count from now on."""
        try:
            self._budget.take(len(data))
        except OverloadedError as exc:
            return Frame(number=self._num_frames, data=b"", error=exc)
        self._held_bytes += len(data)
        return Frame(number=self._num_frames, data=data)

    def _release(self, frame: Frame) -> None:
        self._budget.give(len(frame.data))
        self._held_bytes -= len(frame.data)

    def _drop(self, frame: Frame) -> None:
        self._release(frame)
        self._num_dropped += 1

    async def _hand_over(
        self,
        slot: FrameSlot,
        in_order: Ordered,
        places: asyncio.Semaphore,
        hello: Hello,
        group: asyncio.TaskGroup,
    ) -> None:
        """The newest frame to the backend whenever a place is free."""
        while True:
            await places.acquire()
            frame = await slot.take()
            in_order.put_nowait(None if frame is None else group.create_task(self._answer(frame, hello)))
            if frame is None:
                return

    async def _write(self, in_order: Ordered, places: asyncio.Semaphore) -> None:
        """Results to the client; a place is free when its result is sent, so that slow readers hold up nobody else."""
        while (task := await in_order.get()) is not None:
            await self._send({**await task, "dropped": self._num_dropped})
            self._num_answered += 1
            places.release()
        await self._send(
            end_message(num_frames=self._num_frames, num_answered=self._num_answered, num_dropped=self._num_dropped)
        )

    async def _answer(self, frame: Frame, hello: Hello) -> dict[str, Any]:
        """What is told of one frame.

        Raises:
            InvalidRequestError: the model has not the options of the hello, which no other frame would change.
            UnknownModelError: it is gone.
        """
        try:
            if frame.error is not None:
                raise frame.error
            return await self._predict(frame, hello)
        except (InvalidRequestError, UnknownModelError, InternalError):
            raise
        except ServeError as exc:
            return error_message(exc, request_id=self._request_id, frame=frame.number, num_dropped=0)
        finally:
            self._release(frame)

    async def _predict(self, frame: Frame, hello: Hello) -> dict[str, Any]:
        use: KeyUse | None = self._socket.scope.get(SCOPE_KEY)
        if use is not None:
            use.charge(1)
        started_s = time.perf_counter()
        name = f"{frame.number:06d}"
        request = PredictRequest(
            model=hello.model,
            image=frame.data,
            image_id=f"{hello.image_id}/{name}" if hello.image_id else name,
            options=hello.options.as_options(),
            deadline_s=time.time() + self._limits.timeout_s,
            request_id=self._request_id,
        )
        answer = await self._backend.predict(request)
        elapsed_ms = (time.perf_counter() - started_s) * 1000
        told = result_message(answer, frame=frame.number, total_ms=elapsed_ms, num_dropped=0)
        options = hello.options.as_options()
        if wants_extras(options):
            told |= await asyncio.to_thread(extras_of, answer, options=options)
        return told

    async def _receive(self) -> str | bytes:
        """The next message.

        Raises:
            SlowSenderError: none came for too long.
            WebSocketDisconnect: the client went.
        """
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._socket.receive()
        except TimeoutError as exc:
            raise SlowSenderError(
                f"a message must come within {self._idle_s:g} s, got none; send frames, or end the stream"
            ) from exc
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text: str | None = message.get("text")
        data: bytes = message.get("bytes") or b""
        return data if text is None else text

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(to_json(message).decode())

    async def _close(self, error: ServeError) -> None:
        """Say why, then close."""
        await self._send(error_message(error, request_id=self._request_id, num_dropped=self._num_dropped))
        await self._socket.close(close_code(error))
