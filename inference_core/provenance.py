"""Digests and versions: what lets a result be traced to the model, the settings and the code that made it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

RECORDED_PACKAGES = (
    "millrace",
    "ray",
    "torch",
    "onnxruntime",
    "openvino",
    "ai-edge-litert",
    "keras",
    "numpy",
    "pillow",
    "opencv-python",
    "pyarrow",
)


def sha256_hex(data: bytes | memoryview) -> str:
    """SHA-256 of ``data`` as 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """SHA-256 of a value's canonical JSON."""
    return sha256_hex(canonical_json(value).encode())


def environment_versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a result; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], *, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """Dotted keys whose values differ, with the old and the new value, in sorted order."""
    changes: list[tuple[str, Any, Any]] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        dotted = f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            changes += changed_keys(before, after, prefix=f"{dotted}.")
        elif before != after:
            changes.append((dotted, before, after))
    return changes
