"""Inference over the Open Inference Protocol: a request's tensors in, an answer's out, whatever carries them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from serve.answer_json import row_of_answer
from serve.answers import Answer, PredictRequest, ServedModel
from serve.backend import Backend
from serve.config import RequestLimits
from serve.errors import BadImageError, DeadlineError
from serve.oip_inputs import read_inputs
from serve.oip_options import Parameter, read_options, timeout_end
from serve.oip_output import Output
from serve.oip_outputs import build_outputs, choose_outputs
from serve.oip_tensors import GivenOutput, GivenTensor
from serve.predict_images import MAX_UNDER_WAY

LARGE_BYTES = 64 * 1024
"""Text and numbers one by one, from here on, are read beside the event loop; binary data is not in question."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest:
    """What a client asks, once it is parsed."""

    model: str
    version: str = ""
    """"" for the one that is served."""
    inputs: Sequence[GivenTensor]
    output_names: Sequence[str] = ()
    """None for those that are given by default."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """Without those of the transport."""
    is_text: bool = False
    """Whether the answer is to be JSON throughout."""
    is_large: bool = False
    """Whether its data takes so long to read that other requests should not wait for it."""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceReply:
    """What it gets."""

    model: ServedModel
    answers: Sequence[Answer]
    """One for each image, in order."""
    outputs: Sequence[Output]
    is_asked: bool
    """Whether the request named the outputs."""

    @property
    def is_heavy(self) -> bool:
        """Whether writing it takes so long that other requests should not wait for it."""
        return any(output.is_picture for output in self.outputs)

    def tensors(self) -> list[GivenOutput]:
        """The outputs.

        Raises:
            InvalidRequestError: planes of several sizes were asked for as one tensor.
        """
        return build_outputs(self.outputs, self.answers, is_asked=self.is_asked)

    def parameters(self) -> dict[str, str]:
        """What is told of the whole answer."""
        engines = (answer.prediction.engine for answer in self.answers)
        return {"model_digest": self.answers[0].model_digest, "engine": next(filter(None, engines), "")}


async def infer(
    backend: Backend,
    request: InferenceRequest,
    *,
    limits: RequestLimits,
    deadline_s: float,
    charge: Callable[[int], None] | None = None,
) -> InferenceReply:
    """Answer a request; its images join the queue one by one, so that they share batches with those of others.

    Args:
        backend: answers images.
        request: as parsed; its data is not decoded yet.
        limits: on images and pixels.
        deadline_s: on the clock of ``time.time``; the parameter ``timeout`` may bring it forward.
        charge: is told how many images there are, and may refuse them.

    Raises:
        ServeError: the request, its only image or the service cannot. In a request of several images, one that cannot
            be used has a status, and the others are answered.
    """
    model = await backend.model(request.model, version=request.version)
    outputs = choose_outputs(request.output_names, model=model, is_text=request.is_text)
    options = read_options(request.parameters, model=model, outputs=outputs)
    deadline_s = min(deadline_s, timeout_end(request.parameters))
    images = await beside(lambda: read_inputs(request.inputs, model=model, limits=limits), is_heavy=request.is_large)
    if charge is not None:
        charge(len(images))
    requests = [
        PredictRequest(
            model=model.name,
            image=image,
            image_id=str(index),
            options=options,
            deadline_s=deadline_s,
            request_id=request.request_id,
        )
        for index, image in enumerate(images)
    ]
    answers = await predict_until(backend, requests, deadline_s=deadline_s)
    if len(answers) == 1:
        check_answer(answers[0])
    return InferenceReply(model=model, answers=answers, outputs=outputs, is_asked=bool(request.output_names))


async def beside(work: Callable[[], Found], *, is_heavy: bool) -> Found:
    """Do something at once, or in a thread where it would hold up other requests."""
    return await asyncio.to_thread(work) if is_heavy else work()


async def predict_until(backend: Backend, requests: Sequence[PredictRequest], *, deadline_s: float) -> list[Answer]:
    """Answers in order.

    Raises:
        DeadlineError: they were not there in time.
        ServeError: see ``predict_all``.
    """
    try:
        async with asyncio.timeout(deadline_s - time.time()):
            return await predict_all(backend, requests)
    except TimeoutError:
        raise DeadlineError(
            "the answer must be there before the request's deadline, got none until then; give it more time, or send "
            "fewer images at once"
        ) from None


async def predict_all(backend: Backend, requests: Sequence[PredictRequest]) -> list[Answer]:
    """Answers in order; where one raises, or the caller goes, the others leave the queue."""
    if len(requests) == 1:
        return [await backend.predict(requests[0])]
    room = asyncio.Semaphore(MAX_UNDER_WAY)

    async def predict(request: PredictRequest) -> Answer:
        async with room:
            return await backend.predict(request)

    tasks = [asyncio.ensure_future(predict(request)) for request in requests]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def check_answer(answer: Answer) -> None:
    """Raise BadImageError if the only image of a request cannot be used."""
    prediction = answer.prediction
    if prediction.status != "ok":
        raise BadImageError(prediction.error, status=prediction.status, record=row_of_answer(answer))
