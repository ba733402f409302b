"""A JSON body: images as base64 or as URIs, with options."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pydantic import ValidationError

from serve.asked import Asked, asked_of
from serve.config import RequestLimits
from serve.errors import InvalidRequestError, MalformedBodyError
from serve.schemas import ImageInput, PredictBody
from serve.sent import Sent, SentImage, check_image_bytes, check_num_images

MAX_SHOWN = 8
"""Problems of one body that are told."""


def read_json(body: bytes, *, limits: RequestLimits) -> Sent:
    """The images of a JSON body.

    Raises:
        MalformedBodyError: it is no JSON, or an image no base64.
        InvalidRequestError: it is not as the schema says.
        BodyTooLargeError: too many images, or one too large; known before it is decoded.
    """
    try:
        parsed = PredictBody.model_validate_json(body)
    except ValidationError as exc:
        raise _explain(exc) from exc
    check_num_images(len(parsed.images), limits)
    images = tuple(_read_image(image, index, limits) for index, image in enumerate(parsed.images))
    return Sent(images=images, asked=_asked(parsed), is_several=True)


def _asked(parsed: PredictBody) -> Asked:
    return asked_of({name: getattr(parsed, name) for name in parsed.model_fields_set - {"images"}})


def _read_image(image: ImageInput, index: int, limits: RequestLimits) -> SentImage:
    image_id = image.image_id or str(index)
    if image.uri is not None:
        return SentImage(image_id=image_id, uri=image.uri)
    data = image.data or ""
    if data.startswith("data:"):
        data = data.partition(",")[2]
    check_image_bytes(len(data) // 4 * 3, limits)
    return SentImage(image_id=image_id, data=decode_base64(data, name=f"images.{index}.data"))


def decode_base64(text: str, *, name: str) -> bytes:
    """The bytes of base64.

    Raises:
        MalformedBodyError: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise MalformedBodyError(f"{name} must be base64, got something else; encode the file's bytes") from exc


def _explain(exc: ValidationError) -> InvalidRequestError:
    found = exc.errors(include_url=False, include_context=False, include_input=False)
    if any(problem["type"] == "json_invalid" for problem in found):
        return MalformedBodyError(f"body must be JSON, got {_without_input(found[0])}; correct it")
    errors = [{"field": _field(problem), "message": str(problem["msg"])} for problem in found[:MAX_SHOWN]]
    first = errors[0]
    return InvalidRequestError(
        f"{first['field'] or 'body'} must be as in GET /openapi.json, got a mistake: {first['message']}; correct it",
        errors=errors,
    )


def _field(problem: Any) -> str:
    return ".".join(str(part)[:80] for part in problem["loc"])


def _without_input(problem: Any) -> str:
    return str(problem["msg"]).removeprefix("Invalid JSON: ")[:160]
