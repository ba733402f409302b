"""Turn an architecture's name or import path into a module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from inference_core.architecture_spec import TIMM_PREFIX, ArchitectureSpec
from inference_core.errors import ConfigError, ModelError
from inference_core.hooks.function import import_object
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.models.timm_model import BUILD_ERRORS, build_timm

if TYPE_CHECKING:
    from torch import nn

BUILT_IN = {"unet": "inference_core.models.unet:build_unet"}
"""Names of the architectures that come with Millrace and the factories behind them."""


def build_architecture(spec: ArchitectureSpec, *, code: PackageCode = NO_CODE) -> nn.Module:
    """Build the module that a state dict belongs to.

    Args:
        spec: names it.
        code: of the package, where the factory lies in it.

    Raises:
        ConfigError: the name is unknown, the import path leads nowhere or to code of the package that is not trusted,
            or the options do not fit.
        ModelError: the factory returned something else than a module.
    """
    from torch import nn

    factory = find_factory(spec, code=code)
    path = spec.import_path or BUILT_IN.get(spec.name or "", spec.name)
    try:
        module = factory(**spec.options)
    except BUILD_ERRORS as exc:
        reason = str(exc) if isinstance(exc, TypeError | ValueError) else f"{type(exc).__name__}: {exc}"
        raise ConfigError(
            f"{path} refused the options {spec.options}: {reason}; correct them", key="architecture"
        ) from exc
    if not isinstance(module, nn.Module):
        raise ModelError(f"{path} must return a torch.nn.Module, got {type(module).__name__}; correct the factory")
    return module


def find_factory(spec: ArchitectureSpec, *, code: PackageCode = NO_CODE) -> Callable[..., Any]:
    """What is called with the options.

    Raises:
        ConfigError: the name is unknown or the import path leads nowhere.
    """
    if spec.name is not None and spec.name.startswith(TIMM_PREFIX):
        return partial(build_timm, spec.name.removeprefix(TIMM_PREFIX))
    path = spec.import_path or BUILT_IN.get(spec.name or "")
    if path is None:
        raise ConfigError(
            f"must be one of {', '.join(sorted(BUILT_IN))} or {TIMM_PREFIX}NAME, got {spec.name!r}; "
            "or give 'import: package.module:factory' for your own",
            key="architecture.name",
        )
    return import_object(path, key="architecture.import", code=code)
