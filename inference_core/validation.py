"""YAML and pydantic at the edge: every problem at once, with its dotted key and the near match of an unknown one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inference_core.errors import ConfigError

PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
Frac = Annotated[float, Field(ge=0, le=1)]

TAG = "name"
"""Key that tells the kinds of a filter, a decoder or a step apart; written even where it is the class's default."""


class Frozen(BaseModel):
    """Base of all settings: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


FILTER_TAGS = ("gray", "stretch_minmax", "clahe", "gamma")
DECODER_TAGS = ("yolox", "yolov5", "yolov8", "fastestdet", "ssd", "torchvision", "detr", "mask2former")
HOOK_TAG = "hook"
"""Of a function of the user's, where something built in could stand, too."""
STEP_TAG = "step"
"""Of a built-in step on masks beside hooks."""
SHARED_TAG, BY_CLASS_TAG = "[shared]", "[by class]"
"""Of one value for all classes, and of a mapping of class names; written as no key is."""
UNION_TAGS = frozenset({"str", "int", "float", "bool", "dict", "list", *FILTER_TAGS, *DECODER_TAGS, HOOK_TAG, STEP_TAG})
"""Names that pydantic puts into an error's location for a branch of a union."""

WORDING = (
    (r"^(Input|String|List|Tuple) should", "must"),
    (r" or instance of \w+", ""),
    (r"a valid tuple", "a list"),
    (r"a valid dictionary", "a mapping"),
    (r"^Keys should", "keys must"),
)
"""Patterns in pydantic's messages and our words for them."""

MAX_SHOWN = 80
"""Characters of a wrong value in a message."""

Model = TypeVar("Model", bound=BaseModel)


def parse_yaml(text: bytes | str, *, origin: str) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        ConfigError: the text is no YAML or no mapping; ``origin`` is named.
    """
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as exc:  # ValueError: bytes that are no text, and dates such as 2001-13-45
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
        found = [dict(problem) for problem in exc.errors(include_url=False)]
        problems = [explain_problem(cls, problem) for problem in found if not follows_from_others(problem, found)]
        head = f"{origin} has {len(problems)} problem{'s' if len(problems) > 1 else ''}:"
        raise ConfigError("\n  ".join([head, *problems])) from exc


def follows_from_others(problem: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a list is too short only since some of its entries are wrong, which are told themselves."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in found
    )


def explain_problem(cls: type[BaseModel], problem: Mapping[str, Any]) -> str:
    """One pydantic problem as ``key: must be ..., got ...; what to do``."""
    path = list(problem["loc"])
    location = [part for part in path[:-1] if not is_union_tag(part)]
    location += [part for part in path[-1:] if part not in (SHARED_TAG, BY_CLASS_TAG)]
    key = ".".join(str(part) for part in location)
    kind, message = problem["type"], str(problem["msg"])
    if kind == "extra_forbidden":
        known = keys_at(cls, path[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        if near:
            return f"{key}: is not a known key; did you mean {near[0]!r}?"
        return f"{key}: is not a known key; " + (f"known here: {', '.join(sorted(known))}" if known else "remove it")
    if kind == "missing":
        return f"{key}: is required and missing; set it"
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    for pydantics, ours in WORDING:
        message = re.sub(pydantics, ours, message)
    return f"{key}: {message}, got {shorten(repr(problem['input']))}; correct it"


def shorten(text: str) -> str:
    """The text, cut where it is long."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def is_union_tag(part: Any) -> bool:
    """Whether a location part is pydantic's name of a union branch rather than a key of the file."""
    return isinstance(part, str) and (part in UNION_TAGS or "[" in part)


def keys_at(cls: type[BaseModel], path: Iterable[Any]) -> list[str]:
    """Keys that the settings classes below ``path`` accept; [] where there is no settings class.

    Args:
        cls: the settings as a whole.
        path: keys, positions in lists and tags of unions, as pydantic locates a problem.
    """
    current = [cls]
    for part in path:
        if isinstance(part, int):
            continue
        tagged = [found for found in current if part == tag_of(found)]
        fields = [found.model_fields[part] for found in current if part in found.model_fields]
        below = [found for field in fields for found in settings_classes(field.annotation)]
        current = tagged or below or (current if is_union_tag(part) else [])
    return sorted({field.alias or name for found in current for name, field in found.model_fields.items()})


def tag_of(cls: type[BaseModel]) -> Any:
    """What tells a branch of a union from the others: the default of its ``name``."""
    field = cls.model_fields.get("name")
    return field.default if field is not None else None


def settings_classes(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes inside an annotation such as ``X``, ``X | None`` or ``tuple[X | Y, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in settings_classes(part)]


def all_settings_classes(top: type[BaseModel]) -> list[type[BaseModel]]:
    """A settings class and those that it is made of, each once, from the top down."""
    found = [top]
    for cls in found:
        below = (one for field in cls.model_fields.values() for one in settings_classes(field.annotation))
        found += [one for one in dict.fromkeys(below) if one not in found]
    return found


def single_item(entry: Any, rule: str) -> tuple[str, Any]:
    """The only key and value of a mapping."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise ValueError(f"{rule} a mapping of one name to its value, got {entry!r}; correct it")
    return next(iter(entry.items()))


def plain_facts(settings: BaseModel) -> dict[str, Any]:
    """What a YAML file says of settings: every key that is not at its default, and those that tell kinds apart."""
    facts = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if (name == TAG and value is not None) or value != field.get_default(call_default_factory=True):
            facts[field.alias or name] = plain_value(value)
    return facts


def plain_value(value: Any) -> Any:
    """A value of settings in YAML's own types."""
    if isinstance(value, BaseModel):
        return plain_facts(value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(entry) for key, entry in value.items()}
    return [plain_value(entry) for entry in value] if isinstance(value, list | tuple) else value
