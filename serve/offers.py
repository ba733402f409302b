"""What an answer can be for each task, and which of it a client wants.

Source: RFC 9110, HTTP Semantics, section 12.5.1: the most specific range decides a type's quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serve.answers import ServedModel
from serve.errors import NotAcceptableError
from serve.media_types import MediaType, parse_accept

JSON, PNG, NPY = "application/json", "image/png", "application/x-npy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One form of an answer."""

    essence: str
    """Media type."""
    view: str = ""
    """What of the answer: mask, overlay, scores or uncertainty; image is what the model was shown; "" where there is
    only one."""

    def __str__(self) -> str:
        return f"{self.essence}; view={self.view}" if self.view else self.essence


JSON_OFFER = Offer(essence=JSON)
MASK_PNG, OVERLAY_PNG = Offer(essence=PNG, view="mask"), Offer(essence=PNG, view="overlay")
IMAGE_PNG = Offer(essence=PNG, view="image")
"""The image as it was read, upright and in 8 bits: for who cannot show TIFF. Given to those alone who name it."""
MASK_NPY, SCORES_NPY = Offer(essence=NPY, view="mask"), Offer(essence=NPY, view="scores")
UNCERTAINTY_PNG, UNCERTAINTY_NPY = Offer(essence=PNG, view="uncertainty"), Offer(essence=NPY, view="uncertainty")
"""Of packages that declare it."""
RESULT_NPY = Offer(essence=NPY)

OFFERS: dict[str, tuple[Offer, ...]] = {
    "classification": (JSON_OFFER, RESULT_NPY, IMAGE_PNG),
    "multilabel": (JSON_OFFER, RESULT_NPY, IMAGE_PNG),
    "detection": (JSON_OFFER, OVERLAY_PNG, RESULT_NPY, IMAGE_PNG),
    "segmentation": (JSON_OFFER, MASK_PNG, OVERLAY_PNG, MASK_NPY, SCORES_NPY, IMAGE_PNG),
    "embedding": (JSON_OFFER, RESULT_NPY, IMAGE_PNG),
}
"""Best first, by task."""
DECLARED_OFFERS = (UNCERTAINTY_PNG, UNCERTAINTY_NPY)
VIEWS = ("mask", "overlay", "scores", "uncertainty", "image")
ALL_OFFERS = (*dict.fromkeys(offer for offers in OFFERS.values() for offer in offers), *DECLARED_OFFERS)
_PLAIN_JSON = frozenset({b"", b"*/*", b"application/json", b"application/json, */*"})


def offers_of(model: ServedModel) -> tuple[Offer, ...]:
    """What a model's answers can be, best first."""
    return (*OFFERS[model.task], *(DECLARED_OFFERS if "uncertainty" in model.options else ()))


def wants_plain_json(accept: bytes, view: str) -> bool:
    """Whether JSON is wanted, for the headers that nearly all clients send: no task needs to be known for it."""
    return not view and accept in _PLAIN_JSON


def choose_offer(accept: bytes, *, view: str, offers: Sequence[Offer]) -> Offer:
    """The form that the client likes best.

    Args:
        accept: the header's value, "" where there was none.
        view: of the query, "" for any.
        offers: what there is, best first.

    Raises:
        NotAcceptableError: nothing of it.
    """
    ranges = parse_accept(accept.decode("latin-1"))
    if ranges is None:
        raise NotAcceptableError("accept must be a list of media types, got something else; correct the header")
    fitting = [offer for offer in offers if (offer.view == view if view else offer != IMAGE_PNG)]
    rated = [(quality_of(offer, ranges), offer) for offer in fitting]
    best = max((quality for quality, _ in rated), default=0.0)
    if best == 0:
        known = ", ".join(str(offer) for offer in offers)
        shown = accept[:80].decode("latin-1") or "*/*"
        asked = shown + (f" with view={view}" if view else "")
        raise NotAcceptableError(f"accept must take one of {known}, got {asked}; ask for one of these")
    return next(offer for quality, offer in rated if quality == best)


def quality_of(offer: Offer, ranges: Sequence[MediaType]) -> float:
    """How much a client likes a form, in [0, 1]; 0 is not at all."""
    fitting = [
        media_range
        for media_range in ranges
        if media_range.covers(offer.essence) and media_range.parameters.get("view", offer.view) == offer.view
    ]
    return max(fitting, key=lambda media_range: media_range.specificity).quality if fitting else 0.0
