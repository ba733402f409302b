"""Turn an architecture's name or import path into a module."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inference_core.errors import ConfigError, ModelError
from inference_core.spec import ArchitectureSpec

if TYPE_CHECKING:
    from torch import nn

BUILT_IN = {"unet": "inference_core.models.unet:build_unet"}
"""Names of the architectures that come with Millrace and the factories behind them."""


def build_architecture(spec: ArchitectureSpec) -> nn.Module:
    """Build the module that a state dict belongs to.

    Raises:
        ConfigError: the name is unknown, the import path leads nowhere, or the options do not fit.
        ModelError: the factory returned something else than a module.
    """
    from torch import nn

    path = spec.import_path or BUILT_IN.get(spec.name or "")
    if path is None:
        raise ConfigError(
            f"must be one of {', '.join(sorted(BUILT_IN))}, got {spec.name!r}; "
            "or give 'import: package.module:factory' for your own",
            key="architecture.name",
        )
    factory = import_object(path, key="architecture.import")
    try:
        module = factory(**spec.options)
    except (TypeError, ValueError) as exc:
        raise ConfigError(
            f"{path} refused the options {spec.options}: {exc}; correct them", key="architecture"
        ) from exc
    if not isinstance(module, nn.Module):
        raise ModelError(f"{path} must return a torch.nn.Module, got {type(module).__name__}; correct the factory")
    return module


def import_object(path: str, *, key: str) -> Callable[..., Any]:
    """The callable at ``package.module:name`` in the user's environment."""
    module_name, _, attribute = path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as exc:
        raise ConfigError(
            f"must be importable, got {path!r} ({exc}); install the package or put it on PYTHONPATH", key=key
        ) from exc
    if not callable(found):
        raise ConfigError(f"must name a callable, got {path!r}, a {type(found).__name__}", key=key)
    return found  # type: ignore[no-any-return]
