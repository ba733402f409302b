"""The places that a job names, looked at before anything is loaded: a wrong one costs a second and one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inference_core import storage
from inference_core.errors import ConfigError, StorageError
from inference_core.importing.source import is_hub_name
from jobs.config import JobConfig

OUTPUT_SCHEMES = ("file", "s3")
"""Where a create-only write decides between two writers."""


@contextmanager
def blamed_on(key: str) -> Iterator[None]:
    """Raise errors of storage as what they are before a run has begun: a setting to correct.

    Args:
        key: the setting, "" where the message alone must tell.

    Raises:
        ConfigError: of ``key``.
    """
    try:
        yield
    except StorageError as exc:
        raise ConfigError(str(exc), key=key) from exc


def check_places(config: JobConfig) -> None:
    """Find out whether stores answer, and whether the output can be one.

    Raises:
        ConfigError: no credentials, no such bucket, no answer, or an output of a kind that cannot be written.

    Cost: one request for each bucket, none for local folders.
    """
    check_output_place(config.output)
    named = [
        ("output", config.output),
        *(("input", uri) for uri in config.input),
        *(("reuse", uri) for uri in config.reuse),
    ]
    if not is_hub_name(config.model):
        named.append(("model", config.model))
    asked: set[str] = set()
    for key, uri in named:
        place = "/".join(uri.split("/")[:3])
        if not storage.is_local(uri) and place not in asked:
            asked.add(place)
            with blamed_on(key):
                storage.check_reachable(uri)


def check_output_place(output: str) -> None:
    """Raise ConfigError where no run can be written."""
    scheme = storage.scheme_of(output)
    shown = storage.mask_secrets(output)
    if scheme not in OUTPUT_SCHEMES:
        raise ConfigError(
            f"must be a local folder or s3://, got {shown}; {scheme}:// has no create-only write that is safe",
            key="output",
        )
    if scheme == "s3":
        check_plain_names(output)
        return
    path = output
    while path.count("/") > 2:
        if storage.exists(path):
            what = "the file" if path == output else f"{shown} below the file"
            raise ConfigError(
                f"must be a folder, got {what} {storage.mask_secrets(path)}; choose another", key="output"
            )
        path = path.rpartition("/")[0]


def check_plain_names(output: str) -> None:
    """Raise ConfigError where a prefix has names that tools resolve and S3 does not: it would lie elsewhere."""
    if any(name in ("", ".", "..") for name in output.split("/")[3:]):
        raise ConfigError(
            f"must be a prefix of plain names, got {output}; remove empty names, '.' and '..'", key="output"
        )
