"""Errors as ``application/problem+json``: what is wrong, what to do, and never where in our code.

Source: RFC 9457, Problem Details for HTTP APIs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from serve.errors import BadImageError, InvalidRequestError, ServeError
from serve.json_text import to_json
from serve.reply import Reply

CONTENT_TYPE = b"application/problem+json"
TYPE_PREFIX = "urn:millrace:problem:"
OIP_PATHS = ("/v2", "/v2/")

_OF_STATUS = {
    404: ("not-found", "Not found", "path must be one that the service has, got another; GET /openapi.json lists them"),
    405: ("method-not-allowed", "Method not allowed", "method must be one that this path takes; see the Allow header"),
}


def problem_of(error: ServeError, *, request_id: str) -> dict[str, Any]:
    """The members of a problem."""
    members = _members(error.kind, error.title, error.http_status, str(error), request_id=request_id)
    if isinstance(error, BadImageError):
        members |= {"image_status": error.status, "record": error.record}
    if isinstance(error, InvalidRequestError) and error.errors:
        members["errors"] = list(error.errors)
    if error.retry_after_s is not None:
        members["retry_after_s"] = error.retry_after_s
    return members


def problem_reply(error: ServeError, *, request_id: str, path: str = "") -> Reply:
    """An error as an answer.

    Args:
        error: what happened.
        request_id: of the request.
        path: of the request: clients of the Open Inference Protocol read the member ``error``.
    """
    headers = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if error.http_status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="millrace"'))
    return _reply(problem_of(error, request_id=request_id), path=path, headers=headers)


def status_problem_reply(
    status: int, *, request_id: str, path: str = "", headers: Mapping[str, str] | None = None
) -> Reply:
    """What the router itself refuses: an unknown path, a method that a path does not take."""
    kind, title, detail = _OF_STATUS.get(status, ("http-error", "Request refused", f"the answer is HTTP {status}"))
    kept = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return _reply(_members(kind, title, status, detail, request_id=request_id), path=path, headers=kept)


def _members(kind: str, title: str, status: int, detail: str, *, request_id: str) -> dict[str, Any]:
    return {
        "type": TYPE_PREFIX + kind,
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }


def _reply(members: dict[str, Any], *, path: str, headers: Sequence[tuple[bytes, bytes]]) -> Reply:
    if path == OIP_PATHS[0] or path.startswith(OIP_PATHS[1]):
        members = {**members, "error": members["detail"]}
    return Reply(
        status=members["status"],
        content_type=CONTENT_TYPE,
        body=to_json(members),
        headers=((b"cache-control", b"no-store"), *headers),
    )
