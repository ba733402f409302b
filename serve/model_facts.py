"""What is told of a served model: without a path, and without its weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from inference_core.spec import ModelSpec
from serve.answers import ServedModel
from serve.model_options import describe_options
from serve.told_columns import told_columns

VERSION_LENGTH = 12
"""Hex digits of the digest that name a version."""
PATH = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://|/|~|\.{1,2}/|[A-Za-z]:\\).*", re.DOTALL)
"""A text that is a path or a URI."""
PLACE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|(?<![^\s'\"(\[])/)[^\s,;'\"()\[\]]*[^\s,;'\"()\[\].:]")
"""Such a one among other words."""


def describe_model(package: ModelPackage, *, name: str, engine: str) -> ServedModel:
    """The facts of a model.

    Args:
        package: as read.
        name: as requests call it.
        engine: what runs it, "" while it is not loaded.
    """
    spec = package.spec
    return ServedModel(
        name=name,
        digest=package.digest,
        version=package.digest[:VERSION_LENGTH],
        task=spec.task,
        classes=spec.classes,
        engine=engine,
        input_hw=spec.input.size_hw,
        num_channels=spec.input.num_channels,
        spec=public_spec(spec),
        is_ready=bool(engine),
        options=describe_options(spec),
        columns=told_columns(spec),
    )


def check_distinct(names: Sequence[str]) -> None:
    """Raise ConfigError where two models of a service have one name."""
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigError(
                f"must have distinct names, got {name} twice; name one, as --set models.{index}.name={name}-2",
                key="models",
            )


def public_spec(spec: ModelSpec) -> dict[str, Any]:
    """``model.yaml`` with its defaults; of paths and URIs the last part alone."""
    facts: dict[str, Any] = spec.model_dump(mode="json", by_alias=True)
    return {key: without_paths(value) for key, value in facts.items()}


def without_places(text: str) -> str:
    """A sentence in which every path and URI is its last part."""
    return PLACE.sub(lambda found: str(without_paths(found[0])), text)


def without_paths(value: Any) -> Any:
    """A value in which every path is its last part."""
    if isinstance(value, str):
        return value.rstrip("/\\").replace("\\", "/").rpartition("/")[2] if PATH.match(value) else value
    if isinstance(value, Mapping):
        return {key: without_paths(entry) for key, entry in value.items()}
    return [without_paths(entry) for entry in value] if isinstance(value, list | tuple) else value
