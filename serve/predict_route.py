"""``POST /v1/predict``: images in, predictions out, in the form that ``Accept`` asks for.

The route is plain ASGI: with small models a request is a millisecond, and checking answers against a schema or
injecting dependencies would be a good part of it. ``serve.openapi`` describes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from inference_core.images import DecodePolicy, Limits
from serve.answer_json import extras_of, head_of, one_answer, row_of_answer, wants_extras
from serve.answers import Answer, Options, ServedModel
from serve.asked import Asked, merge_asked, read_query
from serve.backend import Backend
from serve.bodies import check_body_headers, read_body
from serve.body_budget import BodyBudget
from serve.body_forms import RAW, BodyForm, read_form, read_sent
from serve.config import ServeConfig
from serve.errors import BadImageError, NotAcceptableError, UnknownModelError
from serve.json_text import to_json
from serve.keys import charge_images
from serve.offers import ALL_OFFERS, JSON_OFFER, Offer, choose_offer, offers_of, wants_plain_json
from serve.predict_images import ImageCalls
from serve.renderings import render
from serve.reply import Receive, Reply, Scope, Send, send_reply
from serve.request_head import RequestHead, read_head
from serve.request_id import request_id_of
from serve.sent import Sent
from serve.stored_images import StoredImages
from serve.watch import Watch

PARSE_ON_LOOP_BYTES = 256 * 1024
"""Larger forms are read in a thread: a millisecond of the event loop is everybody's."""
NUM_THREADS = 4
"""For reading large forms and writing pictures."""

Done = TypeVar("Done")


class PredictRoute:
    """Answers predict requests.

    Args:
        backend: the models.
        config: of the service.
    """

    def __init__(self, backend: Backend, config: ServeConfig) -> None:
        self._backend = backend
        self._limits = config.limits
        self._http = config.http
        self.budget = BodyBudget(max_bytes=config.limits.max_held_bytes)
        self._pool = ThreadPoolExecutor(NUM_THREADS, thread_name_prefix="http")
        stored = StoredImages(config.security.storage_allow, max_bytes=config.limits.max_image_bytes)
        self._calls = ImageCalls(backend, stored)
        self._image_limits = Limits(max_bytes=config.limits.max_image_bytes, max_pixels=config.limits.max_pixels)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a ServeError is for the gate to tell."""
        await send_reply(await self.answer(scope, receive), send)

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        """The answer to one request.

        Raises:
            ServeError: there is none.
            ClientGoneError: nobody waits for it.
        """
        head = read_head(scope, timeout_s=self._limits.timeout_s)
        path_model = scope.get("path_params", {}).get("model", "")
        asked = read_query(scope["query_string"], path_model=path_model)
        self._check_model(asked.model)
        form = read_form(head.content_type)
        if not wants_plain_json(head.accept, asked.view):
            choose_offer(head.accept, view=asked.view, offers=ALL_OFFERS)  # what no model gives is refused at once
        max_bytes = form.max_bytes(self._limits)
        check_body_headers(head.headers, max_bytes=max_bytes)
        with self.budget.share() as share:
            body = await read_body(receive, max_bytes=max_bytes, http=self._http, share=share)
            with Watch(receive, seconds=head.left_s, asked_s=head.timeout_s):
                sent = await self._read_sent(form, body, asked)
                charge_images(scope, len(sent.images))
                asked = asked if form is RAW else merge_asked(asked, sent.asked)
                return await self._predict(sent, asked, head, request_id=request_id_of(scope))

    async def _read_sent(self, form: BodyForm, body: bytes, asked: Asked) -> Sent:
        if form is RAW or len(body) <= PARSE_ON_LOOP_BYTES:
            return read_sent(form, body, asked=asked, limits=self._limits)
        return await self._in_thread(lambda: read_sent(form, body, asked=asked, limits=self._limits))

    async def _predict(self, sent: Sent, asked: Asked, head: RequestHead, *, request_id: str) -> Reply:
        model = asked.model or self._backend.default_model()
        self._check_model(model)
        if wants_plain_json(head.accept, asked.view):
            offer, facts = JSON_OFFER, None
        else:
            facts = await self._backend.model(model)
            offer = choose_offer(head.accept, view=asked.view, offers=offers_of(facts))
        if sent.is_several:
            check_list(offer)
            return await self._several(sent, model, asked.options, head, request_id=request_id)
        answer = await self._calls.one(
            sent.images[0], model=model, options=asked.options, timeout_s=head.left_s, request_id=request_id
        )
        if answer.prediction.status != "ok":
            raise bad_image(answer)
        if offer == JSON_OFFER:
            told = one_answer(answer, total_ms=head.elapsed_ms) | await self._extras(answer, asked.options)
            return Reply(body=to_json({**head_of([answer], model=model, request_id=request_id), **told}))
        assert facts is not None, "it was asked for with the offer"
        return await self._rendered(offer, answer, facts, sent.images[0].data)

    async def _several(self, sent: Sent, model: str, options: Options, head: RequestHead, *, request_id: str) -> Reply:
        fetched = await self._calls.several(
            sent.images, model=model, options=options, timeout_s=head.left_s, request_id=request_id
        )
        answers = [answer for answer, _ in fetched]
        predictions = [
            one_answer(answer, total_ms=head.elapsed_ms, fetch_ms=fetch_ms) | await self._extras(answer, options)
            for answer, fetch_ms in fetched
        ]
        told = head_of(answers, model=model, request_id=request_id)
        return Reply(body=to_json({**told, "predictions": predictions, "total_ms": head.elapsed_ms}))

    async def _extras(self, answer: Answer, options: Options) -> dict[str, Any]:
        if not wants_extras(options):
            return {}
        return await self._in_thread(lambda: extras_of(answer, options=options))

    async def _rendered(self, offer: Offer, answer: Answer, facts: ServedModel, image: bytes) -> Reply:
        result = answer.prediction.result
        assert result is not None, "the status is ok"
        policy = DecodePolicy(**facts.spec["input"]["decode"])
        body = await self._in_thread(
            lambda: render(offer, result, image=image, policy=policy, limits=self._image_limits)
        )
        headers = ((b"x-model", answer.model.encode()), (b"x-model-digest", answer.model_digest.encode()))
        return Reply(content_type=offer.essence.encode(), body=body, headers=headers)

    async def _in_thread(self, work: Callable[[], Done]) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _check_model(self, name: str) -> None:
        """Refuse a name that nobody serves before anything of the body is read."""
        if name and name not in self._backend.known_models():
            known = ", ".join(self._backend.known_models())
            raise UnknownModelError(f"model must be one of {known}, got {name[:80]!r}; GET /v1/models tells of each")


def bad_image(answer: Answer) -> BadImageError:
    """The problem of the only image of a request."""
    prediction = answer.prediction
    return BadImageError(prediction.error, status=prediction.status, record=row_of_answer(answer))


def check_list(offer: Offer) -> None:
    """Raise NotAcceptableError for several images in a form that holds one."""
    if offer != JSON_OFFER:
        raise NotAcceptableError(
            f"several images are answered as application/json, got a wish for {offer}; send them one by one"
        )
