"""Which pictures stand where on the page: those to review, those without an answer, and the samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.report.page_extras import ShownImage
from jobs.report.review_rows import ReviewRow

POLICY_WORDS = {
    "review": "to review",
    "worst": "lowest scores",
    "per_error": "failed",
    "per_class": "by class",
    "random": "by chance",
}
"""Why images were drawn, in the order of the page's choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One picture with what is said below it."""

    image: ShownImage
    title: str
    """The answer, or what went wrong."""
    lines: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    """Why it was drawn, for the choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Galleries:
    """All pictures of the page, none of them twice."""

    answers: list[Card]
    """Of images with an answer: those to look at first, in their order, then as they were drawn."""
    choices: Mapping[str, str]
    """Policies of ``answers`` and what they are called."""
    errors: Mapping[str, list[Card]]
    """Of images without one that can be shown all the same, by status."""


def build_galleries(images: Sequence[ShownImage], review: Iterable[ReviewRow]) -> Galleries:
    """Divide the drawn images.

    Args:
        images: drawn ones.
        review: the images to look at, in order.
    """
    left = {image.image_id: image for image in images if image.status == "ok"}
    first = [(row, left.pop(row.image_id)) for row in review if row.image_id in left]
    answers = [review_card(row, image) for row, image in first] + [sample_card(image) for image in left.values()]
    found = {policy for card in answers for policy in card.policies}
    errors: dict[str, list[Card]] = {}
    for image in images:
        if image.status != "ok" and image.path:
            errors.setdefault(image.status, []).append(error_card(image))
    return Galleries(
        answers=answers,
        choices={policy: words for policy, words in POLICY_WORDS.items() if policy in found},
        errors=errors,
    )


def review_card(row: ReviewRow, image: ShownImage) -> Card:
    """An image to look at."""
    told = (row.verdict, *row.reasons) if row.verdict else (f"to review {row.rank}",)
    policies = dict.fromkeys(("review", *(reason.policy for reason in image.reasons)))
    return Card(image=image, title=answer_text(image), lines=noted(told, image), policies=tuple(policies))


def error_card(image: ShownImage) -> Card:
    """An image without an answer."""
    return Card(image=image, title=image.error or image.status, lines=noted((), image))


def sample_card(image: ShownImage) -> Card:
    """An image that a policy drew."""
    why = tuple(
        f"{POLICY_WORDS.get(reason.policy, reason.policy)} {reason.rank}{f': {reason.group}' if reason.group else ''}"
        for reason in image.reasons
    )
    policies = tuple(dict.fromkeys(reason.policy for reason in image.reasons))
    return Card(image=image, title=answer_text(image), lines=noted(why, image), policies=policies)


def noted(lines: tuple[str, ...], image: ShownImage) -> tuple[str, ...]:
    """Lines, and what is not as it should be."""
    return (*lines, image.note) if image.note else lines


def answer_text(image: ShownImage) -> str:
    """The answer with its score."""
    score = "" if image.score is None else f"{image.score:.3f}"
    return " · ".join(part for part in (image.label, score) if part) or image.status
