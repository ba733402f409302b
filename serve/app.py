"""The service for ``serve deploy``: what ``import_path: serve.app:build`` names."""

from __future__ import annotations

from typing import Any

from inference_core.errors import ConfigError
from inference_core.validation import build_settings
from serve.config import ServeConfig
from serve.running import build_for_cluster


def build(args: dict[str, Any]) -> Any:
    """The application of Ray Serve that settings describe.

    Args:
        args: the keys of a service's file, as ``millrace serve --config`` reads them.

    Raises:
        ConfigError: settings or packages are wrong, or a port is left open.
    """
    config = build_settings(ServeConfig, args, origin="args")
    if 0 in (config.http.port, config.grpc.port if config.grpc.is_on else None):
        raise ConfigError("must be a port that all replicas can share, got 0; name one", key="port")
    return build_for_cluster(config)
