"""What an explain request asks for, from its query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from inference_core.explain.explanation import Method
from serve.asked import MAX_TEXT_CHARS, SWITCHES, pairs_of_query, unknown_option
from serve.errors import InvalidRequestError

METHODS = ("auto", *get_args(Method))
MAX_OBJECT = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainAsked:
    """A request to explain, without its image."""

    model: str = ""
    """"" for the default one."""
    image_id: str = "0"
    method: str = "auto"
    class_name: str = ""
    """"" for the best one."""
    layer: str = ""
    object_index: int | None = None
    with_heatmap: bool = False
    """The heatmap itself in a JSON answer."""


def read_explain_query(query: bytes, *, path_model: str = "") -> ExplainAsked:
    """What the query string asks for.

    Args:
        query: as sent, still encoded.
        path_model: the model that the path names.

    Raises:
        InvalidRequestError: an option is unknown, given twice, or not of its kind.
    """
    values: dict[str, Any] = {}
    for name, value in pairs_of_query(query, path_model=path_model):
        if name not in READERS:
            raise unknown_option(name, known=READERS)
        field, read = READERS[name]
        if field in values:
            raise InvalidRequestError(f"{name} must be given once, got it twice; leave one out")
        values[field] = read(name, value)
    return ExplainAsked(**values)


def _read_text(name: str, text: str) -> str:
    if len(text) > MAX_TEXT_CHARS or not text.isprintable():
        raise InvalidRequestError(
            f"{name} must be at most {MAX_TEXT_CHARS} printable characters, got {text[:80]!r}; correct it"
        )
    return text


def _read_method(name: str, text: str) -> str:
    if text not in METHODS:
        raise InvalidRequestError(f"{name} must be one of {', '.join(METHODS)}, got {text[:80]!r}; correct it")
    return text


def _read_object(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) <= MAX_OBJECT):
        raise InvalidRequestError(
            f"{name} must be a whole number from 0 to {MAX_OBJECT}, got {text[:80]!r}; correct it"
        )
    return int(text)


def _read_switch(name: str, text: str) -> bool:
    if text.lower() not in SWITCHES:
        raise InvalidRequestError(f"{name} must be true or false, got {text[:80]!r}; correct it")
    return SWITCHES[text.lower()]


READERS: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "model": ("model", _read_text),
    "image_id": ("image_id", _read_text),
    "method": ("method", _read_method),
    "class": ("class_name", _read_text),
    "layer": ("layer", _read_text),
    "object": ("object_index", _read_object),
    "heatmap": ("with_heatmap", _read_switch),
}
"""Every option with the field that it fills and what reads it."""
