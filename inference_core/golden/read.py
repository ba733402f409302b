"""Read a package's golden images, whole and undamaged or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, ModelError, StorageError
from inference_core.golden.record import GOLDEN_FILE, GOLDEN_FOLDER, GOLDEN_SCHEMA, GoldenRecord, identity_of
from inference_core.models.package import ModelPackage
from inference_core.provenance import changed_keys, environment_versions, sha256_hex
from inference_core.validation import build_settings

MAX_SHOWN = 60
"""Characters of a changed value in a message."""
SEAL_AGAIN = "restore the folder, or seal again: millrace models seal {uri} --images ... --force"


class GoldenImage(NamedTuple):
    """An image as it lies in the package."""

    name: str
    """Its file's own name."""
    data: bytes
    """Encoded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Golden:
    """The golden images of a package with all that was sealed of them."""

    record: GoldenRecord
    images: tuple[GoldenImage, ...]
    """In the order of ``record.images``."""
    arrays: Mapping[str, NDArray[Any]]
    """By name, see ``inference_core.golden.values``."""


def read_golden(package: ModelPackage) -> Golden | None:
    """The golden images of a package; None where it was never sealed.

    They are given also where the package was changed since: ``check_sealed_for`` tells.

    Raises:
        ModelError: the folder is damaged: a file is missing or is not the one that was sealed.
    """
    folder = storage.join(package.uri, GOLDEN_FOLDER)
    try:
        text = storage.read_bytes(storage.join(folder, GOLDEN_FILE))
    except MissingObjectError:
        return None
    record = parse_record(text, package_uri=package.uri)
    wanted = {image.file: image.sha256 for image in record.images} | {record.arrays_file: record.arrays_sha256}
    files = read_files(folder, wanted, package_uri=package.uri)
    images = tuple(GoldenImage(name=image.file.rpartition("/")[2], data=files[image.file]) for image in record.images)
    arrays = parse_arrays(files[record.arrays_file], package_uri=package.uri)
    return Golden(record=record, images=images, arrays=arrays)


def load_golden(package: ModelPackage) -> Golden:
    """The golden images of a package that must have some.

    Raises:
        ConfigError: it was never sealed.
        ModelError: the folder is damaged.
    """
    golden = read_golden(package)
    if golden is None:
        raise ConfigError(
            f"package must be sealed, got {package.uri} without {GOLDEN_FOLDER}/{GOLDEN_FILE}; seal it: "
            f"millrace models seal {package.uri} --images FOLDER"
        )
    return golden


def check_sealed_for(golden: Golden, package: ModelPackage) -> None:
    """Raise ModelError, naming each difference, unless the package is the one that was sealed.

    A later version of Millrace knows more keys, which changes every digest; what the package says is compared then.
    """
    record = golden.record
    if record.model_digest == package.digest:
        return
    changes = changed_keys(record.identity, identity_of(package))
    is_later = record.versions.get("millrace") != environment_versions().get("millrace")
    if is_later and not changes:
        return
    lines = "".join(f"\n  {key}: sealed with {shorten(old)}, now {shorten(new)}" for key, old, new in changes)
    images = storage.join(package.uri, GOLDEN_FOLDER, "images")
    raise ModelError(
        f"golden images of {package.uri} must be sealed for digest {package.digest[:12]}, which the package has, got "
        f"{record.model_digest[:12]}; check the answers, then seal again: millrace models seal {package.uri} --images "
        f"{images} --force{lines}"
    )


def shorten(value: Any) -> str:
    """A value in at most some words."""
    text = "the default" if value is None else str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def damaged(package_uri: str, reason: str) -> ModelError:
    """The error of a folder that is not as it was written."""
    return ModelError(
        f"golden images of {package_uri} must be as they were sealed, got {reason}; "
        + SEAL_AGAIN.format(uri=package_uri)
    )


def parse_record(text: bytes, *, package_uri: str) -> GoldenRecord:
    """``golden.json`` as a record."""
    try:
        data = json.loads(text)
    except ValueError as exc:
        raise damaged(package_uri, f"a {GOLDEN_FILE} that is no JSON ({exc})") from exc
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != GOLDEN_SCHEMA:
        raise damaged(package_uri, f"a {GOLDEN_FILE} of schema {version}, where this version reads {GOLDEN_SCHEMA}")
    try:
        return build_settings(GoldenRecord, data, origin=GOLDEN_FILE)
    except ConfigError as exc:
        raise damaged(package_uri, f"this: {exc}") from exc


def read_files(folder: str, wanted: Mapping[str, str], *, package_uri: str) -> dict[str, bytes]:
    """The files by path.

    Args:
        folder: the golden folder.
        wanted: SHA-256 by path below it.
        package_uri: named in errors.
    """
    try:
        uris = [storage.join(folder, path) for path in wanted]
    except StorageError as exc:
        raise damaged(package_uri, f"a {GOLDEN_FILE} that names files elsewhere ({exc})") from exc
    files: dict[str, bytes] = {}
    for (path, sha256), found in zip(wanted.items(), storage.read_many(uris), strict=True):
        if isinstance(found, MissingObjectError):
            raise damaged(package_uri, f"no {path}") from found
        if isinstance(found, Exception):
            raise found
        if sha256_hex(found) != sha256:
            raise damaged(package_uri, f"another {path} than was sealed")
        files[path] = found
    return files


def parse_arrays(data: bytes, *, package_uri: str) -> dict[str, NDArray[Any]]:
    """Arrays by name; none is a pickled object."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, BadZipFile, EOFError, KeyError) as exc:
        raise damaged(package_uri, f"values that are no arrays ({exc})") from exc
