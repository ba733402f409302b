"""Read a service's settings from a file, flags and ``--set``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inference_core.assignments import put, read_assignment, read_settings_file
from inference_core.validation import build_settings
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
    data = read_settings_file(config_uri) if config_uri else {}
    if packages:
        data["models"] = [{"package": package} for package in packages]
    for key, value in (flags or {}).items():
        if value is not None:
            put(data, key, value)
    for assignment in assignments:
        put(data, *read_assignment(assignment, example="http.port=8080"))
    return build_settings(ServeConfig, data, origin=config_uri or "the command line")
