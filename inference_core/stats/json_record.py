"""Frozen dataclasses as JSON and back, exactly and strictly."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError

NO_EXTRA = ConfigDict(extra="forbid")
"""For the ``__pydantic_config__`` of a record: a key that is not a field is refused."""

Count = Annotated[int, Field(strict=True, ge=0)]
Integer = Annotated[int, Field(strict=True)]
BigInteger = Annotated[int, PlainSerializer(str, when_used="json")]
"""Written as decimal text, because many JSON readers round integers beyond 2^53 or refuse those beyond 2^64."""
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Text = Annotated[str, Field(strict=True)]

Record = TypeVar("Record")


def json_from_record(record: Any) -> dict[str, Any]:
    """The JSON object of a dataclass, one key for each field."""
    data: dict[str, Any] = _adapter_of(type(record)).dump_python(record, mode="json")  # type: ignore[arg-type]
    return data


def record_from_json(cls: type[Record], data: object, *, name: str) -> Record:
    """The ``cls`` of which ``json_from_record`` gave ``data``.

    Raises:
        ValueError: a field is missing, unknown or wrong; ``name`` and the field's dotted key are named.
    """
    try:
        record: Record = _adapter_of(cls).validate_python(data)  # type: ignore[arg-type]
    except ValidationError as exc:
        problem = exc.errors(include_url=False)[0]
        key = ".".join(map(str, (name, *problem["loc"])))
        rule = problem["msg"].removeprefix("Value error, ")
        raise ValueError(f"{key}: {rule}; the record is damaged or from another version") from exc
    return record


@cache  # mypy takes a class for its instances and doubts that it is hashable
def _adapter_of(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)
