"""A model package: ``model.yaml`` and weights, read together and identified by one digest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import yaml

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, ModelError, StorageError
from inference_core.hooks.named import code_digests, import_paths, package_files
from inference_core.hooks.package_code import NO_CODE, PackageCode, collect_code
from inference_core.models.ensemble import check_input, input_blocks, read_members
from inference_core.models.weights import Weights, read_weights
from inference_core.provenance import digest_of
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings, parse_yaml, plain_facts

SPEC_FILE = "model.yaml"
DIGEST_SCHEMA = 2
"""Part of every model digest; raised when the same spec starts to mean something else, as when a default changes."""
NOT_IN_DIGEST = ("name", "weights", "weights_sha256")
"""Where the package lies and what it is called; the weights themselves count by their bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A package as read: the checked spec and the weights."""

    uri: str
    """The folder."""
    spec: ModelSpec
    weights_uri: str
    weights: Weights
    digest: str
    """64 hex digits over the spec, the weights and the code that the spec names; carried by every result."""
    code: PackageCode = NO_CODE
    """Python files of the package that the spec names and what they import, by path below the folder."""
    members: tuple[ModelPackage, ...] = ()
    """Of an ensemble, the packages whose answers are merged; such a package has no weights of its own."""

    @property
    def blocks(self) -> tuple[ModelPackage, ...]:
        """The packages that say how an image is prepared, once for each distinct input: the package itself, and of an
        ensemble the members that are prepared otherwise than those before them.
        """
        numbers = input_blocks(self.members)
        firsts = [self.members[numbers.index(block)] for block in range(1, max(numbers, default=0) + 1)]
        return (self, *firsts)

    @property
    def has_unlike_inputs(self) -> bool:
        """Whether its members are prepared differently, so that their answers meet in the image's own pixels."""
        return len(self.blocks) > 1


def load_package(uri: str, *, trusts_code: bool = False) -> ModelPackage:
    """Read a package from a folder, or from the path of its ``model.yaml``. Nothing of its code is run.

    Args:
        uri: folder, prefix or file.
        trusts_code: whether code that lies in the package may be run later.

    Raises:
        ConfigError: there is no package at ``uri``, or its ``model.yaml`` is wrong (all problems at once).
        ModelError: the weights are missing or are not those that ``weights_sha256`` names.
    """
    trimmed = uri.rstrip("/") or uri
    above, _, last = trimmed.rpartition("/")
    folder = storage.normalise((above or ".") if last == SPEC_FILE else trimmed)
    spec_uri = storage.join(folder, SPEC_FILE)
    try:
        text = storage.read_bytes(spec_uri)
    except MissingObjectError as exc:
        raise ConfigError(f"model must be a folder with a {SPEC_FILE}, got {uri}; check the path") from exc
    data = parse_yaml(text, origin=spec_uri)
    if isinstance(data.get("classes"), str):
        data["classes"] = read_class_names(resolve(folder, data["classes"], key="classes"))
    if data.get("format") == "ensemble":
        return load_ensemble(data, folder=folder, origin=spec_uri, trusts_code=trusts_code)
    spec = build_settings(ModelSpec, data, origin=spec_uri)
    weights_uri = resolve(folder, spec.weights, key="weights")
    weights = read_weights(weights_uri, weights_format=spec.format)
    check_weights(weights, uri=weights_uri, spec=spec)
    code = read_code(folder, spec, trusts_code=trusts_code)
    return ModelPackage(
        uri=folder,
        spec=spec,
        weights_uri=weights_uri,
        weights=weights,
        digest=model_digest(spec, weights_sha256=weights.sha256, code=code),
        code=code,
    )


def load_ensemble(data: dict[str, Any], *, folder: str, origin: str, trusts_code: bool) -> ModelPackage:
    """The package of several others.

    Raises:
        ConfigError: ``model.yaml`` is wrong, or the members do not fit each other.
        ModelError: weights of a member are missing or are not its own.
    """
    data, members = read_members(
        data, folder=folder, origin=origin, load=partial(load_package, trusts_code=trusts_code)
    )
    spec = build_settings(ModelSpec, data, origin=origin)
    check_input(spec, members)
    code = read_code(folder, spec, trusts_code=trusts_code, inherited=members[0].code)
    weights = Weights(name="", files={})
    digests = tuple(member.digest for member in members)
    return ModelPackage(
        uri=folder,
        spec=spec,
        weights_uri="",
        weights=weights,
        digest=model_digest(spec, weights_sha256=weights.sha256, code=code, members=digests),
        code=code,
        members=members,
    )


def trusted(package: ModelPackage) -> ModelPackage:
    """The same package, whose code and whose members' code may be run."""
    return replace(
        package,
        code=replace(package.code, is_trusted=True),
        members=tuple(trusted(member) for member in package.members),
    )


def read_code(folder: str, spec: ModelSpec, *, trusts_code: bool, inherited: PackageCode = NO_CODE) -> PackageCode:
    """The Python files below ``folder`` that the spec names, and those that they import.

    Args:
        folder: of the package.
        spec: of the package.
        trusts_code: whether they may be run later.
        inherited: where files are looked for that are not there.

    Raises:
        ConfigError: a file is missing or is no Python.
    """

    @cache
    def read(path: str) -> bytes | None:
        try:
            return storage.read_bytes(storage.join(folder, *path.split("/")))
        except MissingObjectError:
            return inherited.get(path)

    files = collect_code(package_files(import_paths(spec)), read=read)
    return PackageCode(files=files, origin=storage.mask_secrets(folder), is_trusted=trusts_code)


def resolve(folder: str, path: str, *, key: str) -> str:
    """A path of the package as a URI: absolute paths and URIs stay, others lie below ``folder``.

    Raises:
        ConfigError: the path would leave the folder, or is none; ``key`` is named.
    """
    try:
        if "://" in path or path.startswith("/"):
            return storage.normalise(path)
        return storage.join(folder, path.removeprefix("./"))
    except StorageError as exc:
        raise ConfigError(
            f"must be a path below the package, an absolute path or a URI, got {storage.mask_secrets(path)!r}; "
            "correct it",
            key=key,
        ) from exc


def check_weights(weights: Weights, *, uri: str, spec: ModelSpec) -> None:
    """Raise ModelError where the spec names a SHA-256 and the weights have another."""
    if spec.weights_sha256 not in (None, weights.sha256):
        raise ModelError(
            f"weights_sha256 must be that of {uri}, which is {weights.sha256}, got {spec.weights_sha256}; "
            "restore the file or correct the digest"
        )


def read_class_names(uri: str) -> list[str]:
    """Class names from a text file with one a line, or a YAML or JSON list."""
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
    except MissingObjectError as exc:
        raise ConfigError(f"must name an existing file or be a list, got {uri}; correct it", key="classes") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"must name a UTF-8 text file, got {uri}; save it as UTF-8", key="classes") from exc
    if uri.endswith((".yaml", ".yml", ".json")):
        return read_name_list(text, uri=uri)
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_name_list(text: str, *, uri: str) -> list[str]:
    """Class names from a YAML or JSON list."""
    try:
        names = json.loads(text) if uri.endswith(".json") else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as exc:
        reason = " ".join(str(exc).split())
        raise ConfigError(f"must name a readable file, got {uri}: {reason}; mend it", key="classes") from exc
    if not isinstance(names, list):
        raise ConfigError(
            f"must name a file that holds a list, got {type(names).__name__} in {uri}; list the names in output order",
            key="classes",
        )
    strange = [name for name in names if not isinstance(name, str)]
    if strange:  # YAML reads no, on and 3 as other things than text
        raise ConfigError(f"must be names, got {strange[0]!r} in {uri}; put it in quotes", key="classes")
    return names


def model_digest(
    spec: ModelSpec, *, weights_sha256: str, code: PackageCode = NO_CODE, members: Sequence[str] = ()
) -> str:
    """Identify everything that a prediction depends on; the package's name and place do not count.

    Args:
        spec: of the package.
        weights_sha256: of its weights.
        code: that lies in it, where the spec names any. The modules of this environment that it names count, too.
        members: digests of an ensemble's members, which count in the place of their paths.

    Raises:
        ConfigError: ``code`` lacks a file that the spec names.
    """
    # What is at its default is left out, so that a key that is new leaves the digests of older packages as they are.
    facts = {key: value for key, value in plain_facts(spec).items() if key not in NOT_IN_DIGEST}
    if spec.ensemble is not None:
        weighed = zip(spec.ensemble.members, members, strict=True)
        named_by_digest = [{"weight": member.weight, "digest": digest} for member, digest in weighed]
        # Rows tell what each member after the first changed, by its name.
        told = spec.ensemble.member_names[1:]
        facts["ensemble"] = {**facts["ensemble"], "members": named_by_digest, "told": list(told)}
    digests = code_digests(spec, code)
    named = {"code": digests} if digests else {}
    return digest_of({"schema": DIGEST_SCHEMA, "spec": facts, "weights": weights_sha256, **named})
