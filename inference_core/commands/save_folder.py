"""The folder that a command saves its files in."""

from __future__ import annotations

import os
from pathlib import Path

from inference_core.errors import ConfigError


def make_save_folder(folder: Path | None) -> None:
    """Make the folder where it is missing, before anything costly is done; None is none.

    Raises:
        ConfigError: it is no folder, or nothing can be written into it.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise not_writable(folder, str(exc.strerror)) from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise not_writable(folder, "it is read-only")


def not_writable(folder: Path, reason: str) -> ConfigError:
    """The error of such a folder."""
    return ConfigError(f"must be a folder that can be written, got {folder} ({reason}); name another", key="--save")
