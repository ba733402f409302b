"""What a service refuses, once for HTTP, gRPC and the WebSocket.

    ServeError
    ├── InvalidRequestError   the request is no request, or asks for what the model cannot give
    ├── BadImageError         one image cannot be used: its status and its record
    ├── UnknownModelError     nobody serves this name or version
    ├── BodyTooLargeError     over a limit of bytes or of images
    ├── UnsupportedTypeError  the content type, or what the client accepts, is none of ours
    ├── SlowSenderError       the body did not come in time
    ├── UnauthorizedError     no key, or a wrong one
    ├── ForbiddenError        the key, or the allow-list, does not reach so far
    ├── RateLimitError        the key's own limit
    ├── OverloadedError       the queue is full: try again later
    ├── UnavailableError      the model is loading, gone, or its device is broken
    ├── DeadlineError         the answer would come too late
    └── InternalError         a mistake of ours; no more is told than an id

A message never holds a path, a trace or the name of a process. Wording as everywhere:
``<name> must be <rule>, got <value>; <what to do>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from inference_core.errors import MillraceError
from inference_core.status import Status


class ServeError(MillraceError):
    """Base: knows how HTTP and gRPC say it.

    Args:
        message: what must be, what was got and what to do.
        retry_after_s: whole seconds after which another try makes sense; None where it never does.
    """

    http_status: ClassVar[int] = 500
    grpc_code: ClassVar[str] = "INTERNAL"
    """Name of a ``grpc.StatusCode``."""
    kind: ClassVar[str] = "internal"
    """Last part of the problem's ``type``; documented in docs/serving.md."""
    title: ClassVar[str] = "Internal error"

    def __init__(self, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> Any:
        """Errors travel between processes."""
        return _rebuild, (type(self), str(self), dict(self.__dict__))


def _rebuild(kind: type[ServeError], message: str, state: dict[str, Any]) -> ServeError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class InvalidRequestError(ServeError):
    """The request cannot be read, or names an option that is unknown or out of range.

    Args:
        message: the first mistake.
        errors: all of them, each with ``field`` and ``message``, where there can be several.
    """

    http_status, grpc_code, kind, title = 422, "INVALID_ARGUMENT", "invalid-request", "Invalid request"

    def __init__(self, message: str, *, errors: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)


class MalformedBodyError(InvalidRequestError):
    """The body is not what its content type says."""

    http_status, kind, title = 400, "malformed-body", "Malformed body"


class BadImageError(ServeError):
    """One image of a single-image request cannot be used.

    Args:
        message: the record's error.
        status: the record's status, ``ok`` never.
        record: the row, as a job would write it.
    """

    kind, title = "bad-image", "Image not usable"

    def __init__(self, message: str, *, status: Status, record: dict[str, Any]) -> None:
        super().__init__(message)
        self.status = status
        self.record = record

    @property
    def http_status(self) -> int:  # type: ignore[override]
        """By status: 413 for too large, 415 for unsupported, 502 for storage, 507 for memory, else 422."""
        return {"too_large": 413, "unsupported": 415, "fetch_error": 502, "oom": 507, "crashed": 500}.get(
            self.status, 422
        )

    @property
    def grpc_code(self) -> str:  # type: ignore[override]
        """By status."""
        return {"fetch_error": "FAILED_PRECONDITION", "oom": "RESOURCE_EXHAUSTED", "crashed": "INTERNAL"}.get(
            self.status, "INVALID_ARGUMENT"
        )


class UnknownModelError(ServeError):
    """No model of this name or version is served."""

    http_status, grpc_code, kind, title = 404, "NOT_FOUND", "unknown-model", "Unknown model"


class BodyTooLargeError(ServeError):
    """The body, or the number of images in it, is over a limit; nothing of it was decoded."""

    http_status, grpc_code, kind, title = 413, "RESOURCE_EXHAUSTED", "too-large", "Request too large"


class UnsupportedTypeError(ServeError):
    """The content type is not one that is read."""

    http_status, grpc_code, kind, title = 415, "INVALID_ARGUMENT", "unsupported-type", "Unsupported content type"


class NotAcceptableError(ServeError):
    """None of the types that the client accepts can be given for this model."""

    http_status, grpc_code, kind, title = 406, "INVALID_ARGUMENT", "not-acceptable", "Not acceptable"


class SlowSenderError(ServeError):
    """The headers or the body did not come in time."""

    http_status, grpc_code, kind, title = 408, "DEADLINE_EXCEEDED", "slow-sender", "Request did not arrive in time"


class UnauthorizedError(ServeError):
    """A key is wanted and there is none, or it is wrong."""

    http_status, grpc_code, kind, title = 401, "UNAUTHENTICATED", "unauthorized", "API key wanted"


class ForbiddenError(ServeError):
    """The key may not do this, or the URI is not on the allow-list."""

    http_status, grpc_code, kind, title = 403, "PERMISSION_DENIED", "forbidden", "Not allowed"


class RateLimitError(ServeError):
    """The key has used up its requests for now."""

    http_status, grpc_code, kind, title = 429, "RESOURCE_EXHAUSTED", "rate-limit", "Rate limit reached"


class OverloadedError(ServeError):
    """The model's queue is full: nothing of the request was begun."""

    http_status, grpc_code, kind, title = 429, "RESOURCE_EXHAUSTED", "overloaded", "Too many requests"


class UnavailableError(ServeError):
    """The model is loading, has gone, or its device is broken."""

    http_status, grpc_code, kind, title = 503, "UNAVAILABLE", "unavailable", "Model not available"


class DeadlineError(ServeError):
    """The request's time was over before its answer was there."""

    http_status, grpc_code, kind, title = 504, "DEADLINE_EXCEEDED", "deadline", "Deadline exceeded"


class InternalError(ServeError):
    """A mistake of ours. The log has the rest under the request's id."""
