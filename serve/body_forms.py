"""Which form a body has, by its content type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serve.asked import Asked
from serve.config import RequestLimits
from serve.errors import MalformedBodyError, UnsupportedTypeError
from serve.json_body import read_json
from serve.media_types import parse_media_type
from serve.multipart_body import read_multipart
from serve.sent import Sent, SentImage, check_image_bytes

RAW_TYPES = frozenset({"application/octet-stream", "application/x-npy"})
MAX_BOUNDARY_CHARS = 70
"""Source: RFC 2046, section 5.1.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyForm:
    """How a body is read."""

    kind: Literal["raw", "multipart", "json"]
    boundary: str = ""

    def max_bytes(self, limits: RequestLimits) -> int:
        """The longest body: one image, or several."""
        return min(limits.max_body_bytes, limits.max_image_bytes) if self.kind == "raw" else limits.max_body_bytes


RAW = BodyForm(kind="raw")


def read_form(content_type: bytes) -> BodyForm:
    """The form of a body.

    Args:
        content_type: the header's value; "" is taken for bytes of an image, whose signature decides.

    Raises:
        UnsupportedTypeError: none that is read.
        MalformedBodyError: a form without its boundary.
    """
    if not content_type or content_type == b"image/jpeg":
        return RAW
    found = parse_media_type(content_type.decode("latin-1"))
    if found is not None and (found.main == "image" or found.essence in RAW_TYPES):
        return RAW
    if found is not None and found.essence == "application/json":
        return BodyForm(kind="json")
    if found is not None and found.essence == "multipart/form-data":
        boundary = found.parameters.get("boundary", "")
        if not 1 <= len(boundary) <= MAX_BOUNDARY_CHARS:
            raise MalformedBodyError(
                f"boundary must be 1 to {MAX_BOUNDARY_CHARS} characters in content-type, got {len(boundary)}; let a "
                "library write the header"
            )
        return BodyForm(kind="multipart", boundary=boundary)
    shown = content_type[:80].decode("latin-1")
    raise UnsupportedTypeError(
        f"content-type must be image/*, application/octet-stream, multipart/form-data or application/json, got "
        f"{shown}; curl sends an image with -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"
    )


def read_sent(form: BodyForm, body: bytes, *, asked: Asked, limits: RequestLimits) -> Sent:
    """What a body holds.

    Args:
        form: how it is read.
        body: the whole.
        asked: of the query.
        limits: on images.

    Raises:
        ServeError: see ``read_json`` and ``read_multipart``.
    """
    if form.kind == "json":
        return read_json(body, limits=limits)
    if form.kind == "multipart":
        return read_multipart(body, boundary=form.boundary, limits=limits)
    check_image_bytes(len(body), limits)
    return Sent(images=(SentImage(image_id=asked.image_id or "0", data=body),))
