"""``POST /v1/explain``: an image in, the picture or the numbers of what its answer comes from out."""

from __future__ import annotations

import base64
import time
from typing import Any

from serve.answers import ServedModel
from serve.asked import NOTHING_ASKED, Asked
from serve.backend import Backend
from serve.bodies import check_body_headers, read_body
from serve.body_budget import BodyBudget
from serve.body_forms import read_form, read_sent
from serve.config import ServeConfig
from serve.errors import InvalidRequestError, UnknownModelError
from serve.explain_asked import ExplainAsked, read_explain_query
from serve.explainers import Explained, Explainers
from serve.json_text import to_json
from serve.offers import JSON_OFFER, NPY, PNG, Offer, choose_offer
from serve.renderings import npy_bytes
from serve.reply import Receive, Reply, Scope, Send, send_reply
from serve.request_head import RequestHead, read_head
from serve.request_id import request_id_of
from serve.sent import Sent
from serve.watch import Watch

PNG_OFFER, NPY_OFFER = Offer(essence=PNG), Offer(essence=NPY)
EXPLAIN_OFFERS = (JSON_OFFER, PNG_OFFER, NPY_OFFER)
"""Best first: the numbers, the picture, the heatmap."""


class ExplainRoute:
    """Answers explain requests.

    Args:
        backend: knows the models.
        config: of the service.
        budget: of bodies, shared with the other routes.
    """

    def __init__(self, backend: Backend, config: ServeConfig, *, budget: BodyBudget) -> None:
        self._backend = backend
        self._limits = config.limits
        self._http = config.http
        self._budget = budget
        self._explainers = Explainers(config)

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
        asked = read_explain_query(scope["query_string"], path_model=path_model)
        name, index = self._find(asked.model)
        offer = choose_offer(head.accept, view="", offers=EXPLAIN_OFFERS)
        form = read_form(head.content_type)
        max_bytes = form.max_bytes(self._limits)
        check_body_headers(head.headers, max_bytes=max_bytes)
        with self._budget.share() as share:
            body = await read_body(receive, max_bytes=max_bytes, http=self._http, share=share)
            with Watch(receive, seconds=head.left_s, asked_s=head.timeout_s):
                sent = read_sent(form, body, asked=Asked(image_id=asked.image_id), limits=self._limits)
                image = only_image(sent)
                facts = await self._backend.model(name)
                explained = await self._explainers.explain(
                    image,
                    asked,
                    facts,
                    index=index,
                    deadline_s=time.time() + head.left_s,
                    has_picture=offer == PNG_OFFER,
                )
        return reply_of(explained, asked, facts, head, offer=offer, request_id=request_id_of(scope))

    def _find(self, name: str) -> tuple[str, int]:
        """A model's name and its place in the settings."""
        known = list(self._backend.known_models())
        wanted = name or self._backend.default_model()
        if wanted not in known:
            raise UnknownModelError(
                f"model must be one of {', '.join(known)}, got {name[:80]!r}; GET /v1/models tells of each"
            )
        return wanted, known.index(wanted)


def only_image(sent: Sent) -> bytes:
    """The bytes of the only image of a request.

    Raises:
        InvalidRequestError: there are several, it is named by a URI, or the body asks for something.
    """
    if len(sent.images) != 1 or sent.images[0].uri:
        raise InvalidRequestError(
            f"body must hold the bytes of one image to be explained, got {len(sent.images)} images or a uri; send one"
        )
    if sent.asked != NOTHING_ASKED:
        raise InvalidRequestError("options of an explanation must stand in the query, got some in the body; move them")
    return sent.images[0].data


def reply_of(
    explained: Explained, asked: ExplainAsked, facts: ServedModel, head: RequestHead, *, offer: Offer, request_id: str
) -> Reply:
    """The answer in the form that was asked for."""
    explanation, picture = explained
    if offer == JSON_OFFER:
        told: dict[str, Any] = {
            "model": facts.name,
            "model_digest": facts.digest,
            "request_id": request_id,
            "explanation": explanation.facts() | {"shape": list(explanation.heatmap.shape)},
            "total_ms": head.elapsed_ms,
        }
        if asked.with_heatmap:
            data = base64.b64encode(npy_bytes(explanation.heatmap)).decode("ascii")
            told["heatmap"] = {"media_type": NPY, "data": data}
        return Reply(body=to_json(told))
    body = picture if offer == PNG_OFFER else npy_bytes(explanation.heatmap)
    headers = ((b"x-model", facts.name.encode()), (b"x-model-digest", facts.digest.encode()))
    return Reply(content_type=offer.essence.encode(), body=body, headers=headers)
