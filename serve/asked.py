"""What a request asks for beside its images: model, options, view. From the query, from form fields, or from JSON."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from serve.answers import DEFAULT_OPTIONS, Options
from serve.errors import InvalidRequestError
from serve.offers import VIEWS

MAX_FIELDS = 16
MAX_TEXT_CHARS = 1024
MAX_TOP_K = 100_000
MAX_VIEWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request without its images."""

    model: str = ""
    """"" for the default one."""
    options: Options = DEFAULT_OPTIONS
    view: str = ""
    image_id: str = ""
    """Of a single image."""


NOTHING_ASKED = Asked()


def read_query(query: bytes, *, path_model: str = "") -> Asked:
    """What the query string asks for.

    Args:
        query: as sent, still encoded.
        path_model: the model that the path names.

    Raises:
        InvalidRequestError: an option is unknown, given twice, or not of its kind.
    """
    if not query and not path_model:
        return NOTHING_ASKED
    return _read_query(query, path_model)


@lru_cache(maxsize=256)
def _read_query(query: bytes, path_model: str) -> Asked:
    """Clients send the same few queries over and over."""
    return read_fields(pairs_of_query(query, path_model=path_model))


def pairs_of_query(query: bytes, *, path_model: str) -> list[tuple[str, str]]:
    """Names and values of a query string, with the model that the path names.

    Raises:
        InvalidRequestError: there are too many, or they are no text.
    """
    try:
        text = query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as exc:
        raise InvalidRequestError(
            f"query must be at most {MAX_FIELDS} options of UTF-8 text, got another; correct the address"
        ) from exc
    return [("model", path_model), *pairs] if path_model else pairs


def read_fields(pairs: Iterable[tuple[str, str]]) -> Asked:
    """What named values ask for.

    Raises:
        InvalidRequestError: see ``read_query``.
    """
    values: dict[str, Any] = {}
    for name, text in pairs:
        if name not in READERS:
            raise unknown_option(name, known=READERS)
        if name in values:
            raise InvalidRequestError(f"{name} must be given once, got it twice; leave one out")
        if len(text) > MAX_TEXT_CHARS:
            raise InvalidRequestError(
                f"{name} must be at most {MAX_TEXT_CHARS} characters, got {len(text)}; shorten it"
            )
        values[name] = READERS[name](name, text)
    return asked_of(values)


def asked_of(values: Mapping[str, Any]) -> Asked:
    """Checked values as a record."""
    options = Options(
        top_k=values.get("top_k"),
        threshold=values.get("threshold"),
        with_probabilities=values.get("probabilities", False),
        with_mask=values.get("mask", False),
        with_uncertainty=values.get("uncertainty", False),
        views=values.get("views"),
    )
    return Asked(
        model=values.get("model", ""),
        options=DEFAULT_OPTIONS if options == DEFAULT_OPTIONS else options,
        view=values.get("view", ""),
        image_id=values.get("image_id", ""),
    )


def merge_asked(query: Asked, body: Asked) -> Asked:
    """What query and body ask for together.

    Raises:
        InvalidRequestError: both say something of the same thing.
    """
    if body == NOTHING_ASKED or query == NOTHING_ASKED:
        return query if body == NOTHING_ASKED else body
    of_query, of_body = _given(query), _given(body)
    for name in of_query.keys() & of_body.keys():
        raise InvalidRequestError(f"{name} must be given once, got it in the query and in the body; leave one out")
    return asked_of(of_query | of_body)


def _given(asked: Asked) -> dict[str, Any]:
    """What is not left to the defaults, by name; the inverse of ``asked_of``."""
    values = {
        "model": asked.model or None,
        "top_k": asked.options.top_k,
        "threshold": asked.options.threshold,
        "probabilities": asked.options.with_probabilities or None,
        "mask": asked.options.with_mask or None,
        "uncertainty": asked.options.with_uncertainty or None,
        "views": asked.options.views,
        "view": asked.view or None,
        "image_id": asked.image_id or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def unknown_option(name: str, *, known: Collection[str]) -> InvalidRequestError:
    """The error of an option that nobody knows, with the one that may be meant."""
    near = difflib.get_close_matches(name[:80], known, n=1)
    advice = f"did you mean {near[0]}?" if near else "leave it out"
    return InvalidRequestError(f"option must be one of {', '.join(known)}, got {name[:80]!r}; {advice}")


def _read_text(name: str, text: str) -> str:
    if not text.isprintable():
        raise InvalidRequestError(f"{name} must be printable text, got {text[:80]!r}; correct it")
    return text


def _read_top_k(name: str, text: str) -> int:
    return _read_count(name, text, most=MAX_TOP_K)


def _read_views(name: str, text: str) -> int:
    return _read_count(name, text, most=MAX_VIEWS)


def _read_count(name: str, text: str, *, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= most):
        raise InvalidRequestError(f"{name} must be a whole number from 1 to {most}, got {text[:80]!r}; correct it")
    return int(text)


def _read_threshold(name: str, text: str) -> float:
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise InvalidRequestError(f"{name} must be a number from 0 to 1, got {text[:80]!r}; correct it")
    return value


def _read_switch(name: str, text: str) -> bool:
    if text.lower() not in SWITCHES:
        raise InvalidRequestError(f"{name} must be true or false, got {text[:80]!r}; correct it")
    return SWITCHES[text.lower()]


def _read_view(name: str, text: str) -> str:
    if text not in VIEWS:
        raise InvalidRequestError(f"{name} must be one of {', '.join(VIEWS)}, got {text[:80]!r}; correct it")
    return text


SWITCHES = {"true": True, "1": True, "false": False, "0": False}
READERS: dict[str, Callable[[str, str], Any]] = {
    "model": _read_text,
    "top_k": _read_top_k,
    "threshold": _read_threshold,
    "probabilities": _read_switch,
    "mask": _read_switch,
    "uncertainty": _read_switch,
    "views": _read_views,
    "view": _read_view,
    "image_id": _read_text,
}
"""Every option with what reads it."""
