"""Find the file of a module in the user's environment without running anything of it."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

from inference_core.provenance import sha256_hex


def source_sha256(module_name: str) -> str | None:
    """SHA-256 of the file that an import of the module would run; None where there is none to be found.

    ``importlib.util.find_spec`` would import the packages above the module; this asks the finders themselves.
    """
    spec = find_module(module_name)
    read = getattr(spec.loader, "get_data", None) if spec is not None else None
    if spec is None or spec.origin is None or read is None:  # built-in modules have no file
        return None
    try:
        return sha256_hex(read(spec.origin))
    except OSError:
        return None


def find_module(module_name: str) -> ModuleSpec | None:
    """Where a module lies, found from the outermost package inwards."""
    path: list[str] | None = None
    found: ModuleSpec | None = None
    names = module_name.split(".")
    for depth in range(1, len(names) + 1):
        found = ask_finders(".".join(names[:depth]), path)
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        if not is_package and depth < len(names):
            return None
        path = list(found.submodule_search_locations or ())
    return found


def ask_finders(name: str, path: list[str] | None) -> ModuleSpec | None:
    """What the first finder that knows a module says of it."""
    for finder in list(sys.meta_path):
        try:
            spec = finder.find_spec(name, path)
        except (AttributeError, ImportError, ValueError):  # finders of old or broken installations
            continue
        if spec is not None:
            return spec
    return None
