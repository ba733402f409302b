"""Import what a path names, and call it as a guest: whatever it raises is one image's error."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any

from inference_core.errors import ConfigError, InferError, InputError
from inference_core.hook_spec import HookSpec, package_file
from inference_core.hooks.package_code import PackageCode
from inference_core.hooks.package_modules import import_package_file

MAX_MESSAGE_CHARS = 200
"""Of what a hook says of its failure; a row holds it."""


class HookFunction:
    """A function of the user's with its options, imported when it is first called.

    A process that never calls it never loads what it needs.

    Args:
        spec: names it.
        role: what it is in the package, for messages: filter, decoder or step.
        key: dotted name of the setting.
        code: of the package.
    """

    def __init__(self, spec: HookSpec, *, role: str, key: str, code: PackageCode) -> None:
        self._spec = spec
        self._key = key
        self._code = code
        self.name = f"{role} {spec.import_path}"

    def __call__(self, argument: Any) -> Any:
        """Call it.

        Raises:
            InputError: it raised something: its own InputError as it is, anything else as an InferError.
            ConfigError: it cannot be imported, or does not take the options.
        """
        function = self._function
        try:
            return function(argument, **self._spec.options)
        except InputError:
            raise
        except Exception as exc:
            text = " ".join(str(exc).split())[:MAX_MESSAGE_CHARS]
            raise InferError(f"{self.name} raised {type(exc).__name__}: {text}") from exc

    @cached_property
    def _function(self) -> Callable[..., Any]:
        function = import_object(self._spec.import_path, key=self._key, code=self._code)
        check_options(function, self._spec, key=self._key)
        return function


def import_object(path: str, *, key: str, code: PackageCode) -> Callable[..., Any]:
    """The callable at an import path.

    Args:
        path: ``package.module:name`` in the user's environment, or ``./file.py:name`` in the package.
        key: dotted name of the setting.
        code: of the package.

    Raises:
        ConfigError: it cannot be imported, is not callable, or lies in a package whose code is not trusted.
    """
    attribute = path.partition(":")[2]
    module = import_module(path, key=key, code=code)
    found: Any = module
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as exc:
        raise ConfigError(f"must be importable, got {path!r} ({exc}); correct the name", key=key) from exc
    if not callable(found):
        raise ConfigError(f"must name a callable, got {path!r}, a {type(found).__name__}", key=key)
    return found  # type: ignore[no-any-return]


def import_module(path: str, *, key: str, code: PackageCode) -> ModuleType:
    """The module of an import path; a module may raise anything while it is imported."""
    file = package_file(path)
    if file is not None:
        code.check_trust(path, key=key)
    try:
        return import_package_file(code, file) if file is not None else importlib.import_module(path.partition(":")[0])
    except ModuleNotFoundError as exc:
        beside = " (for a file beside it write 'from .name import ...')" if file is not None else ""
        raise ConfigError(
            f"must be importable, got {path!r} ({exc}); install the package or put it on PYTHONPATH{beside}", key=key
        ) from exc
    except Exception as exc:
        raise ConfigError(
            f"must be importable, got {path!r} ({type(exc).__name__}: {exc}); correct the code", key=key
        ) from exc


def check_options(function: Callable[..., Any], spec: HookSpec, *, key: str) -> None:
    """Raise ConfigError unless a function takes one argument and the options, as far as its signature tells."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # functions written in C may have none
        return
    try:
        signature.bind(None, **spec.options)
    except TypeError as exc:
        raise ConfigError(
            f"{spec.import_path} must take one argument and the options {sorted(spec.options)}, got: {exc}; correct "
            "the options or the function",
            key=key,
        ) from exc
