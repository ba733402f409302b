"""Read a service's settings from a file, flags and ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, StorageError
from inference_core.validation import build_settings, parse_yaml
from serve.config import ServeConfig


def read_settings(
    packages: Sequence[str],
    config_uri: str | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
) -> ServeConfig:
    """Merge defaults, the file, packages and flags, and assignments, in rising precedence, and check all together.

    Args:
        packages: models to serve as they are; they replace those of the file.
        config_uri: YAML file; None for none.
        flags: settings by dotted name; None for not given.
        assignments: ``key.subkey=value`` with the value in YAML.

    Raises:
        ConfigError: the file is missing, an assignment is malformed, or settings are wrong (all at once).
    """
    data = read_file(config_uri) if config_uri else {}
    if packages:
        data["models"] = [{"package": package} for package in packages]
    for key, value in (flags or {}).items():
        if value is not None:
            put(data, key, value)
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator or not all(key.strip().split(".")):
            raise ConfigError(f"must be KEY=VALUE, got {assignment!r}; e.g. http.port=8080", key="--set")
        put(data, key.strip(), read_value(key, text))
    return build_settings(ServeConfig, data, origin=config_uri or "the command line")


def read_file(uri: str) -> dict[str, Any]:
    """The mapping in a YAML file."""
    try:
        return parse_yaml(storage.read_bytes(uri), origin=uri)
    except MissingObjectError as exc:
        raise ConfigError(f"must be an existing file, got {uri}; check the path", key="--config") from exc
    except StorageError as exc:
        raise ConfigError(
            f"must be a YAML file that can be read, got {uri} ({exc}); name another", key="--config"
        ) from exc


def read_value(key: str, text: str) -> Any:
    """A value in YAML."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"must have a YAML value, got {text!r} for {key}; quote it", key="--set") from exc


def put(data: dict[str, Any], dotted: str, value: Any) -> None:
    """Put a value into nested mappings and lists: ``http.port``, ``models.0.batch_size``."""
    *parents, last = dotted.split(".")
    target: Any = data
    for parent in parents:
        target = below(target, parent, dotted=dotted)
    if isinstance(target, list):
        target[place(target, last, dotted=dotted)] = value
    elif isinstance(target, dict):
        target[last] = value
    else:
        raise ConfigError(f"must name a setting below a group, got {dotted!r}", key="--set")


def below(target: Any, name: str, *, dotted: str) -> Any:
    """The group of a name, made where it is not there."""
    if isinstance(target, list):
        return target[place(target, name, dotted=dotted)]
    if isinstance(target, dict):
        return target.setdefault(name, {})
    raise ConfigError(f"must name a setting below a group, got {dotted!r}: {name!r} is in none", key="--set")


def place(target: list[Any], name: str, *, dotted: str) -> int:
    """A position in a list."""
    if not name.isdigit() or int(name) >= len(target):
        raise ConfigError(f"must number one of {len(target)} from 0, got {name!r} in {dotted!r}", key="--set")
    return int(name)
