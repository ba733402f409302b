"""Read a job's settings from a file, flags and ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, StorageError
from inference_core.importing.source import normalise_model
from inference_core.validation import build_settings, parse_yaml
from jobs.config import JobConfig
from jobs.places import blamed_on


def read_settings(config_uri: str | None, *, flags: Mapping[str, Any], assignments: Sequence[str]) -> JobConfig:
    """Merge defaults, the file, flags and assignments, in rising precedence, and check all together.

    Args:
        config_uri: YAML file; None for none. Relative paths in it are relative to the working directory.
        flags: top-level settings by name; None for not given.
        assignments: ``key.subkey=value`` with the value in YAML.

    Raises:
        ConfigError: the file is missing, an assignment is malformed, or settings are wrong (all at once).
    """
    data = read_file(config_uri) if config_uri else {}
    data.update({key: value for key, value in flags.items() if value is not None})
    for assignment in assignments:
        assign(data, assignment)
    config = build_settings(JobConfig, data, origin=config_uri or "the command line")
    with blamed_on("model"):
        model = normalise_model(config.model)
    inputs = tuple(folder_uri(uri, key="input") for uri in config.input)
    output = folder_uri(config.output, key="output")
    reuse = tuple(folder_uri(uri, key="reuse") for uri in config.reuse)
    return config.model_copy(update={"model": model, "input": inputs, "output": output, "reuse": reuse})


def folder_uri(uri: str, *, key: str) -> str:
    """A folder or prefix in the one form that plans and comparisons use: no slash at its end.

    Raises:
        ConfigError: of ``key``: the name is none, or carries credentials.
    """
    with blamed_on(key):
        normalised = storage.normalise(uri)
    return normalised if storage.is_local(normalised) else normalised.rstrip("/")


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


def assign(data: dict[str, Any], assignment: str) -> None:
    """Put ``a.b=value`` into nested mappings."""
    dotted, separator, text = assignment.partition("=")
    if not separator or not all(dotted.split(".")):
        raise ConfigError(f"must be KEY=VALUE, got {assignment!r}; e.g. execution.batch_size=32", key="--set")
    *parents, last = dotted.strip().split(".")
    target = data
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ConfigError(f"must name a setting below a group, got {dotted!r}: {parent!r} is none", key="--set")
    try:
        target[last] = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"must have a YAML value, got {text!r} for {dotted}; quote it", key="--set") from exc
