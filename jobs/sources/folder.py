"""List the files of folders and prefixes, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from inference_core import storage
from inference_core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class InputObject:
    """One file to predict."""

    image_id: str
    """Path below the input, with the input's own name before it where there are several."""
    uri: str
    size_bytes: int
    etag: str
    """Changes with the content; "" where the storage has none."""


def list_inputs(
    inputs: Sequence[str], *, include: Sequence[str], exclude: Sequence[str], output: str
) -> Iterator[InputObject | None]:
    """Every file below the inputs, in the order of the inputs and then of the paths.

    Args:
        inputs: folders, prefixes or single files.
        include: globs; a path must match one.
        exclude: globs; a path must match none.
        output: the run's own folder, left out where it lies below an input.

    Yields:
        The file, or None for one that the globs leave out.

    Raises:
        ConfigError: two inputs have the same name or lie inside each other, or one of several holds nothing.
        StorageError: an input cannot be listed.
    """
    check_apart(inputs)
    prefixes = input_prefixes(inputs)
    own_prefix = f"{output.rstrip('/')}/"
    for uri, prefix in zip(inputs, prefixes, strict=True):
        is_empty = True
        for found, image_id in list_one(uri, prefix=prefix):
            is_empty = False
            if found.uri.startswith(own_prefix):
                continue
            is_wanted = matches(found.path, include) and not matches(found.path, exclude)
            yield (
                InputObject(image_id=image_id, uri=found.uri, size_bytes=found.size_bytes, etag=found.etag)
                if is_wanted
                else None
            )
        if is_empty and len(inputs) > 1:
            raise ConfigError(f"each must hold at least one file, got none below {uri}; check the path", key="input")


def list_one(uri: str, *, prefix: str) -> Iterator[tuple[storage.ObjectInfo, str]]:
    """The files below a folder, or the file itself, each with its id."""
    is_empty = True
    for found in storage.list_objects(uri):
        is_empty = False
        yield found, f"{prefix}{found.path}"
    if is_empty and storage.exists(uri):
        folder, _, name = uri.rpartition("/")
        for found in storage.list_objects(folder, recursive=False):
            if found.path == name:
                yield found, name


def check_apart(inputs: Sequence[str]) -> None:
    """Raise ConfigError where an input lies inside another: its images would be planned twice."""
    for outer in inputs:
        for inner in inputs:
            if inner.startswith(f"{outer.rstrip('/')}/"):
                raise ConfigError(f"must not lie inside each other, got {inner} in {outer}; remove one", key="input")


def matches(path: str, globs: Sequence[str]) -> bool:
    """Whether a path matches one of the globs; ``*`` also matches slashes."""
    return any(fnmatchcase(path, glob) for glob in globs)


def input_prefixes(inputs: Sequence[str]) -> list[str]:
    """What each input's ids begin with: nothing for the only one, else its last name and a slash."""
    if len(inputs) == 1:
        return [""]
    names = [uri.rstrip("/").rpartition("/")[2] for uri in inputs]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ConfigError(
            f"must have distinct last names, got {', '.join(doubles)} more than once; rename a folder or run each "
            "alone",
            key="input",
        )
    return [f"{name}/" for name in names]
