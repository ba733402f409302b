"""Tiny packages with functions of the user's: from the tests' own module, or from a file in the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.tiny_models import tiny_classifier, tiny_segmenter

HERE = "tests.hook_functions"


def hook(name: str, **options: Any) -> dict[str, Any]:
    """A function of ``tests/hook_functions.py``, or one by its whole import path."""
    return {"import": name if ":" in name else f"{HERE}:{name}", "options": options}


def hooked_classifier(folder: Path, *, files: Mapping[str, str] | None = None, **changes: Any) -> Path:
    """The tiny classifier with changes by dotted key (``__`` for a dot), and files beside it."""
    return changed(tiny_classifier(folder), files=files, changes=changes)


def hooked_segmenter(folder: Path, *, files: Mapping[str, str] | None = None, **changes: Any) -> Path:
    """The tiny segmenter, likewise."""
    return changed(tiny_segmenter(folder), files=files, changes=changes)


def changed(folder: Path, *, files: Mapping[str, str] | None, changes: Mapping[str, Any]) -> Path:
    """A package with other facts; None takes one away."""
    data = yaml.safe_load((folder / "model.yaml").read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        target = data
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is None:
            target.pop(last, None)
        else:
            target[last] = value
    (folder / "model.yaml").write_text(yaml.safe_dump(data))
    for path, text in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder
