"""The page at ``/``: a handful of files that lie beside this module, sent as they are.

They are read once, at the start, so that nothing of a request's path ever reaches the file system.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
PAGE_HEADERS = {
    # Everything comes from the service itself, and nothing of a page is ever put into its markup. blob: and data: are
    # the pictures that a person chose.
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # The files of one release belong together: each is asked for again, and mostly answered with 304.
    "cache-control": "no-cache",
}
_TAG = re.compile(r'\s*(?:W/)?("[^"]*")\s*(?:,|$)')


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """One file of the page."""

    body: bytes
    media_type: str
    etag: str
    """Quoted, as the header has it."""


def read_page() -> dict[str, PageFile]:
    """All files of the page by name."""
    found = {}
    for entry in files("serve").joinpath("page").iterdir():
        media_type = MEDIA_TYPES.get("." + entry.name.rpartition(".")[2])
        if media_type is not None:
            body = entry.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found[entry.name] = PageFile(body=body, media_type=media_type, etag=etag)
    return found


def page_routes() -> Sequence[BaseRoute]:
    """``/`` and ``/page/NAME`` for each file."""
    page = read_page()
    return [
        page_route("/", page[INDEX]),
        *(page_route(f"/page/{name}", file) for name, file in sorted(page.items()) if name != INDEX),
    ]


def page_route(path: str, file: PageFile) -> Route:
    """The route of one file."""

    async def answer(request: Request) -> Response:
        return file_response(file, request.headers)

    return Route(path, answer, methods=["GET"], include_in_schema=False)


def file_response(file: PageFile, headers: Mapping[str, str]) -> Response:
    """A file, or 304 where the browser has it already.

    Args:
        file: to send.
        headers: of the request, names in lower case.
    """
    sent = {**PAGE_HEADERS, "etag": file.etag}
    if file.etag in _TAG.findall(headers.get("if-none-match", "")):
        return Response(status_code=304, headers=sent)
    return Response(file.body, media_type=file.media_type, headers=sent)
