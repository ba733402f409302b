"""What a request's body holds, whatever its form."""

from __future__ import annotations

from dataclasses import dataclass

from serve.asked import NOTHING_ASKED, Asked
from serve.config import RequestLimits
from serve.errors import BodyTooLargeError


@dataclass(frozen=True, slots=True, kw_only=True)
class SentImage:
    """One image as it was sent: its bytes, or where they lie."""

    image_id: str
    data: bytes = b""
    uri: str = ""
    """Where ``data`` is to be read from; "" where it was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A body."""

    images: tuple[SentImage, ...]
    asked: Asked = NOTHING_ASKED
    """What the body asks for; the query may ask for more."""
    is_several: bool = False
    """Whether the answer is a list."""


def check_image_bytes(num_bytes: int, limits: RequestLimits) -> None:
    """Raise BodyTooLargeError for an image over its limit."""
    if num_bytes > limits.max_image_bytes:
        raise BodyTooLargeError(
            f"image must be at most {limits.max_image_bytes} bytes, got {num_bytes}; send a smaller one"
        )


def check_num_images(num_images: int, limits: RequestLimits) -> None:
    """Raise BodyTooLargeError for too many images in one call."""
    if num_images > limits.max_images:
        raise BodyTooLargeError(
            f"images must be at most {limits.max_images} in one call, got more; send them in several calls"
        )
