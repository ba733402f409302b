"""A model package: ``model.yaml`` and weights, read together and identified by one digest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, ModelError
from inference_core.provenance import digest_of, sha256_hex
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings, parse_yaml

SPEC_FILE = "model.yaml"
DIGEST_SCHEMA = 1
"""Part of every model digest; raised when the same spec starts to mean something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A package as read: the checked spec and the weights' bytes."""

    uri: str
    """The folder."""
    spec: ModelSpec
    weights_uri: str
    weights: bytes = field(repr=False)
    digest: str
    """64 hex digits over the spec and the weights; carried by every result."""


def load_package(uri: str) -> ModelPackage:
    """Read a package from a folder, or from the path of its ``model.yaml``.

    Raises:
        ConfigError: there is no package at ``uri``, or its ``model.yaml`` is wrong (all problems at once).
        ModelError: the weights are missing or are not those that ``weights_sha256`` names.
    """
    folder = uri.removesuffix(SPEC_FILE).rstrip("/") if uri.endswith(SPEC_FILE) else uri.rstrip("/")
    folder = storage.normalise(folder or ".")
    spec_uri = storage.join(folder, SPEC_FILE)
    try:
        text = storage.read_bytes(spec_uri)
    except MissingObjectError as exc:
        raise ConfigError(f"model must be a folder with a {SPEC_FILE}, got {uri}; check the path") from exc
    data = parse_yaml(text, origin=spec_uri)
    if isinstance(data.get("classes"), str):
        data["classes"] = read_class_names(resolve(folder, data["classes"]))
    spec = build_settings(ModelSpec, data, origin=spec_uri)
    weights_uri = resolve(folder, spec.weights)
    weights = read_weights(weights_uri, spec=spec)
    return ModelPackage(
        uri=folder,
        spec=spec,
        weights_uri=weights_uri,
        weights=weights,
        digest=model_digest(spec, weights_sha256=sha256_hex(weights)),
    )


def resolve(folder: str, path: str) -> str:
    """A path of the package as a URI: absolute paths and URIs stay, others lie below ``folder``."""
    if "://" in path or path.startswith("/"):
        return storage.normalise(path)
    return storage.join(folder, *path.split("/"))


def read_weights(uri: str, *, spec: ModelSpec) -> bytes:
    """The weights' bytes, checked against the spec's SHA-256 where it names one."""
    try:
        weights = storage.read_bytes(uri)
    except MissingObjectError as exc:
        raise ModelError(f"weights must exist, got {uri}; correct 'weights' in {SPEC_FILE} or add the file") from exc
    actual = sha256_hex(weights)
    if spec.weights_sha256 not in (None, actual):
        raise ModelError(
            f"weights_sha256 must be that of {uri}, which is {actual}, got {spec.weights_sha256}; "
            "restore the file or correct the digest"
        )
    return weights


def read_class_names(uri: str) -> list[str]:
    """Class names from a text file with one a line, or a YAML or JSON list."""
    try:
        text = storage.read_bytes(uri).decode("utf-8")
    except MissingObjectError as exc:
        raise ConfigError(f"classes must name an existing file or be a list, got {uri}; correct it") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"classes file must be UTF-8 text, got {uri}; save it as UTF-8") from exc
    if uri.endswith((".yaml", ".yml", ".json")):
        names = parse_yaml(f"names: {text}" if uri.endswith(".json") else f"names:\n{text}", origin=uri)["names"]
        return [str(name) for name in names] if isinstance(names, list) else names
    return [line.strip() for line in text.splitlines() if line.strip()]


def model_digest(spec: ModelSpec, *, weights_sha256: str) -> str:
    """Identify everything that a prediction depends on; the package's name and place do not count."""
    facts: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude={"name", "weights", "weights_sha256"})
    return digest_of({"schema": DIGEST_SCHEMA, "spec": facts, "weights": weights_sha256})
