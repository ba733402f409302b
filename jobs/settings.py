"""Read a job's settings from a file, flags and ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inference_core import storage
from inference_core.assignments import put, read_assignment, read_settings_file
from inference_core.importing.source import normalise_model
from inference_core.validation import build_settings
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
    data = read_settings_file(config_uri) if config_uri else {}
    data.update({key: value for key, value in flags.items() if value is not None})
    for assignment in assignments:
        put(data, *read_assignment(assignment, example="execution.batch_size=32"))
    config = build_settings(JobConfig, data, origin=config_uri or "the command line")
    with blamed_on("model"):
        model = normalise_model(config.model)
    inputs = tuple(folder_uri(uri, key="input") for uri in config.input)
    output = folder_uri(config.output, key="output")
    reuse = tuple(folder_uri(uri, key="reuse") for uri in config.reuse)
    drift = folder_uri(config.drift_reference, key="drift_reference") if config.drift_reference else None
    places = {"model": model, "input": inputs, "output": output, "reuse": reuse, "drift_reference": drift}
    return config.model_copy(update=places)


def folder_uri(uri: str, *, key: str) -> str:
    """A folder or prefix in the one form that plans and comparisons use: no slash at its end.

    Raises:
        ConfigError: of ``key``: the name is none, or carries credentials.
    """
    with blamed_on(key):
        normalised = storage.normalise(uri)
    return normalised if storage.is_local(normalised) else normalised.rstrip("/")
