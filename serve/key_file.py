"""The file of API keys: names, hashes and limits; never a key.

Keys are 256 random bits that this module draws, never a word that a person chose. So a plain SHA-256 is enough: there
is nothing to guess, which slow hashes such as scrypt are made against, and a slow hash would cost every request tens
of milliseconds.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, model_validator

from inference_core.errors import ConfigError
from inference_core.validation import Frozen, PositiveInt, build_settings, parse_yaml

KEY_PREFIX = "mr-"
"""So that a key is recognised where it does not belong."""
NUM_KEY_BYTES = 32
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


class KeyEntry(Frozen):
    """One key."""

    name: Annotated[str, Field(pattern=NAME)]
    """Who holds it; stands in the access log."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of the key."""
    per_minute: PositiveInt | None = None
    """Images (or other requests) in a minute; None sets no limit."""
    burst: PositiveInt | None = None
    """Images at once, after a pause; None is those of a minute."""


class KeyFile(Frozen):
    """All keys of a service."""

    keys: tuple[KeyEntry, ...] = ()

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [entry.name for entry in self.keys]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"names of keys must be distinct, got {min(twice)} twice; rename one")
        return self


def read_key_file(path: Path) -> KeyFile:
    """The keys of a file.

    Raises:
        ConfigError: it cannot be read, or is not as it must be.
    """
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise ConfigError(
            f"must be a file that can be read, got {path} ({exc.strerror}); write one with millrace serve-key add",
            key="security.keys_file",
        ) from exc
    return build_settings(KeyFile, parse_yaml(text, origin=str(path)), origin=str(path))


def add_key(path: Path, name: str, *, per_minute: int | None = None, burst: int | None = None) -> str:
    """Draw a key and add its hash to a file, which is made where there is none.

    Returns:
        The key. It is nowhere else.

    Raises:
        ConfigError: the name is taken or none, a limit is none, or the file cannot be read or written.
    """
    held = read_key_file(path) if path.exists() else KeyFile()
    if any(entry.name == name for entry in held.keys):
        raise ConfigError(f"must be a name without a key, got {name}; remove that key first", key="name")
    key = KEY_PREFIX + secrets.token_urlsafe(NUM_KEY_BYTES)
    entry = build_settings(
        KeyEntry, {"name": name, "sha256": hash_key(key), "per_minute": per_minute, "burst": burst}, origin="key"
    )
    write_key_file(path, KeyFile(keys=(*held.keys, entry)))
    return key


def remove_key(path: Path, name: str) -> None:
    """Take a key out of a file; services that use the file refuse it within seconds.

    Raises:
        ConfigError: there is none of that name, or the file cannot be read or written.
    """
    held = read_key_file(path)
    kept = tuple(entry for entry in held.keys if entry.name != name)
    if len(kept) == len(held.keys):
        known = ", ".join(entry.name for entry in held.keys) or "none"
        raise ConfigError(f"must be the name of a key, got {name}; there are: {known}", key="name")
    write_key_file(path, KeyFile(keys=kept))


def write_key_file(path: Path, keys: KeyFile) -> None:
    """Write a file that its owner alone may read, whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    text = yaml.safe_dump(keys.model_dump(mode="json", exclude_none=True), sort_keys=False)
    try:
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(unfinished).replace(path)
    except OSError as exc:
        raise ConfigError(
            f"must be a file that can be written, got {path} ({exc.strerror}); choose another folder", key="file"
        ) from exc


def hash_key(key: str) -> str:
    """Hex SHA-256 of a key."""
    return hashlib.sha256(key.encode()).hexdigest()
