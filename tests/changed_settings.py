"""Settings with one field changed, for tests that none is forgotten: found by walking the settings classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from inference_core.validation import settings_classes

Path = tuple[str | int, ...]
"""Names of fields and positions in tuples, from the top."""


def nested_settings(value: Any, path: Path = ()) -> Iterator[tuple[Path, BaseModel]]:
    """All settings inside of settings, tuples and mappings, each with its place."""
    if isinstance(value, BaseModel):
        yield path, value
        parts: Any = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        parts = value.items()
    else:
        parts = enumerate(value) if isinstance(value, tuple) else ()
    for key, part in parts:
        yield from nested_settings(part, (*path, key))


def changed_settings(top: BaseModel) -> Iterator[tuple[Path, BaseModel]]:
    """The same settings with one field changed, for each field of all that they hold; what is changed is not checked.

    A field that holds settings is taken away where it may be absent, since its own fields are changed one by one; one
    that could hold some and holds none is left out.
    """
    for path, settings in nested_settings(top):
        for name, field in type(settings).model_fields.items():
            value = getattr(settings, name)
            holds_settings = bool(settings_classes(field.annotation))
            if holds_settings and (value is None or NoneType not in get_args(field.annotation)):
                continue
            other = None if holds_settings else other_value(field.annotation, value)
            yield (*path, name), with_value(top, (*path, name), other)


def with_value(top: Any, path: Path, value: Any) -> Any:
    """What ``top`` holds, with another value at a place."""
    if not path:
        return value
    key, rest = path[0], path[1:]
    if isinstance(top, BaseModel):
        return top.model_copy(update={str(key): with_value(getattr(top, str(key)), rest, value)})
    if isinstance(top, Mapping):
        return {**top, key: with_value(top[key], rest, value)}
    return tuple(with_value(part, rest, value) if index == key else part for index, part in enumerate(top))


def other_value(annotation: Any, value: Any) -> Any:
    """A value of a type that is not ``value``; None for ``value`` asks for any."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return other_value(args[0], value)
    if origin is Literal:
        return next((one for one in args if one != value), f"{value}x")
    if origin in (Union, UnionType):
        return other_value(branch_of(args, value), value)
    if origin is tuple and args[-1] is not Ellipsis:
        return tuple(other_value(kind, None if value is None else value[index]) for index, kind in enumerate(args))
    if origin is tuple:
        return (*(value or ()), other_value(args[0], None))
    if origin is dict:
        return {**(value or {}), "another": other_value(args[1], None)}
    if annotation is bool:
        return not value
    if annotation in (int, float):
        return annotation((value or 0) + 1)
    return f"{value or ''}x"  # text, and what may be anything


def branch_of(branches: tuple[Any, ...], value: Any) -> Any:
    """The branch of a union that has a value: of its own type, or the first but None."""
    own = (one for one in branches if isinstance(value, plain_type(one)) and value is not None)
    return next(own, next(one for one in branches if one is not NoneType))


def plain_type(annotation: Any) -> type | tuple[type, ...]:
    """What ``isinstance`` takes for an annotation."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return plain_type(args[0])
    if origin is Literal:
        return tuple(type(one) for one in args)
    found = origin or annotation
    return found if isinstance(found, type) else ()
