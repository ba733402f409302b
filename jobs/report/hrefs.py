"""Addresses for links, made so that no name from outside can make another of them."""

from __future__ import annotations

from urllib.parse import quote

from inference_core.safe_text import visible_text

FILE = "file://"


def below_output(path: str) -> str:
    """The link from the page's folder to a path below the output."""
    return "../" + quote(path.encode(errors="replace"), safe="/")


def file_href(uri: str) -> str:
    """The link to a local image, "" for any other, whose address a browser could not open or should not."""
    path = uri.removeprefix(FILE)
    if not uri.startswith(FILE + "/") or visible_text(path) != path:
        return ""
    return FILE + quote(path.encode(errors="replace"), safe="/")
