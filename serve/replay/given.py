"""What a service gave for one image of a run, whatever carried it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer: a record, or only its status and error where the protocol tells no more of a bad image."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """By column."""
    is_whole: bool = True
    """Whether all columns are told: then one that is absent is null."""
    model_digest: str = ""
    """Of the model that answered, "" where nothing tells."""
    mask_png: bytes | None = None
    refusal: str = ""
    """What the service said instead of an answer, "" where it answered."""


class Asker(Protocol):
    """Sends images to one model of a service; safe to use from several threads."""

    def ask(self, image: bytes, *, with_mask: bool) -> Given:
        """The service's answer.

        Args:
            image: the file's bytes.
            with_mask: whether the mask is wanted, too.
        """

    def close(self) -> None:
        """Close its connections."""
