"""YAML and pydantic at the edge: every problem at once, with its dotted key and the near match of an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from inference_core.errors import ConfigError


class Frozen(BaseModel):
    """Base of all settings: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


UNION_TAGS = frozenset({"str", "int", "float", "bool", "dict", "list", "gray", "stretch_minmax", "clahe", "gamma"})
"""Names that pydantic puts into an error's location for a branch of a union."""

Model = TypeVar("Model", bound=BaseModel)


def parse_yaml(text: bytes | str, *, origin: str) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: the text is no YAML or no mapping; ``origin`` is named.
    """
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        reason = " ".join(str(exc).split())
        raise ConfigError(f"{origin} must be YAML, got: {reason}; mend the file") from exc
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{origin} must hold a mapping of keys to values, got {type(data).__name__}; see the docs")
    return data


def build_settings(cls: type[Model], data: Mapping[str, Any], *, origin: str) -> Model:
    """Validate ``data`` as ``cls``.

    Raises:
        ConfigError: one line for each problem: dotted key, rule, the value got, and a near match for unknown keys.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as exc:
        problems = [explain_problem(cls, dict(problem)) for problem in exc.errors(include_url=False)]
        head = f"{origin} has {len(problems)} problem{'s' if len(problems) > 1 else ''}:"
        raise ConfigError("\n  ".join([head, *problems])) from exc


def explain_problem(cls: type[BaseModel], problem: Mapping[str, Any]) -> str:
    """One pydantic problem as ``key: must be ..., got ...; what to do``."""
    path = list(problem["loc"])
    location = [part for part in path[:-1] if not is_union_tag(part)] + path[-1:]
    key = ".".join(str(part) for part in location)
    kind, message = problem["type"], str(problem["msg"])
    if kind == "extra_forbidden":
        known = keys_at(cls, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        if near:
            return f"{key}: is not a known key; did you mean {near[0]!r}?"
        return f"{key}: is not a known key; " + (f"known here: {', '.join(sorted(known))}" if known else "remove it")
    if kind == "missing":
        return f"{key}: is required and missing; set it"
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    rule = message.replace("Input should be ", "must be ")
    return f"{key}: {rule}, got {problem['input']!r}"


def is_union_tag(part: Any) -> bool:
    """Whether a location part is pydantic's name of a union branch rather than a key of the file."""
    return isinstance(part, str) and (part in UNION_TAGS or "[" in part)


def keys_at(cls: type[BaseModel], location: list[Any]) -> list[str]:
    """Keys that the settings class accepts below ``location``; [] where that is not a settings class."""
    current: type[BaseModel] | None = cls
    for part in location:
        field = current.model_fields.get(str(part)) if current else None
        current = settings_class(field.annotation) if field else None
    if current is None:
        return []
    return [field.alias or name for name, field in current.model_fields.items()]


def settings_class(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside an annotation such as ``X`` or ``X | None``, None where there is none."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
