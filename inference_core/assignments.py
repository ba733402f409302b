"""Settings as people give them to a command: a YAML file, and ``key.subkey=value``."""

from __future__ import annotations

from typing import Any

import yaml

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, StorageError
from inference_core.validation import parse_yaml


def read_settings_file(uri: str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, cannot be read, or holds no mapping.
    """
    try:
        return parse_yaml(storage.read_bytes(uri), origin=uri)
    except MissingObjectError as exc:
        raise ConfigError(f"must be an existing file, got {uri}; check the path", key="--config") from exc
    except StorageError as exc:
        raise ConfigError(
            f"must be a YAML file that can be read, got {uri} ({exc}); name another", key="--config"
        ) from exc


def read_assignment(assignment: str, *, example: str) -> tuple[str, Any]:
    """The dotted key and the value, in YAML, of ``key.subkey=value``.

    Args:
        assignment: as given.
        example: shown where it is none.

    Raises:
        ConfigError: there is no key or no value, or the value is no YAML.
    """
    key, separator, text = assignment.partition("=")
    dotted = key.strip()
    if not separator or not all(dotted.split(".")):
        raise ConfigError(f"must be KEY=VALUE, got {assignment!r}; e.g. {example}", key="--set")
    try:
        return dotted, yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"must have a YAML value, got {text!r} for {dotted}; quote it", key="--set") from exc


def put(data: dict[str, Any], dotted: str, value: Any) -> None:
    """Put a value into nested mappings and lists: ``execution.batch_size``, ``models.0.gpus``.

    Raises:
        ConfigError: the key leads through something that is neither, or to no entry of a list.
    """
    *parents, last = dotted.split(".")
    target: Any = data
    for parent in parents:
        if isinstance(target, list):
            target = target[position_of(parent, target, dotted=dotted)]
        else:
            target = target.setdefault(parent, {})
        if not isinstance(target, dict | list):
            raise ConfigError(
                f"must name a setting below a group, got {dotted!r}, but {parent!r} is {target!r}, one value for all; "
                "give each of its settings instead",
                key="--set",
            )
    target[position_of(last, target, dotted=dotted) if isinstance(target, list) else last] = value


def position_of(name: str, target: list[Any], *, dotted: str) -> int:
    """A position in a list, from its text."""
    if not name.isdigit() or int(name) >= len(target):
        raise ConfigError(f"must number one of {len(target)} from 0, got {name!r} in {dotted!r}", key="--set")
    return int(name)
