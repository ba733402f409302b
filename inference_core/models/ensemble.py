"""What the packages of an ensemble must have in common, and what the ensemble takes over from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from inference_core import storage
from inference_core.enhance_spec import EnsembleSpec
from inference_core.errors import ConfigError
from inference_core.provenance import changed_keys
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings, plain_facts

PARENT = "../"
INHERITED = ("classes", "input", "output")
"""Keys that are the first member's where the ensemble does not say otherwise."""


M = TypeVar("M", bound="Member")


class Member(Protocol):
    """A package as read, as far as it matters here."""

    @property
    def spec(self) -> ModelSpec:
        """The member's."""

    @property
    def uri(self) -> str:
        """Its folder."""


def read_members(
    data: Mapping[str, Any], *, folder: str, origin: str, load: Callable[[str], M]
) -> tuple[dict[str, Any], tuple[M, ...]]:
    """The members of an ensemble, and its ``model.yaml`` with what it takes over from them.

    Args:
        data: of ``model.yaml``.
        folder: of the package.
        origin: of ``data``, for messages.
        load: reads a package.

    Raises:
        ConfigError: a member is none, is an ensemble itself, or does not fit the others.
    """
    declared = build_settings(EnsembleSpec, data.get("ensemble") or {}, origin=f"{origin}, ensemble")
    members = tuple(load(member_uri(folder, member.package)) for member in declared.members)
    first = members[0].spec
    for index, member in enumerate(members):
        check_member(member, first=first, task=data.get("task"), key=f"ensemble.members.{index}")
    facts = plain_facts(first)
    return {**{key: facts[key] for key in INHERITED if key in facts}, **data}, members


def member_uri(folder: str, path: str) -> str:
    """Where a member lies: absolute paths and URIs stay, others are relative to the ensemble's folder."""
    if "://" in path or path.startswith("/"):
        return storage.normalise(path)
    path = path.removeprefix("./")
    while path.startswith(PARENT):
        folder, path = folder.rstrip("/").rpartition("/")[0], path.removeprefix(PARENT)
    return storage.join(folder, path.rstrip("/"))


def check_member(member: Member, *, first: ModelSpec, task: Any, key: str) -> None:
    """Raise ConfigError unless a member can be merged with the first."""
    spec = member.spec
    if spec.ensemble is not None:
        raise ConfigError(f"must be a single model, got the ensemble {member.uri}; name its members", key=key)
    if spec.task != task or spec.task == "embedding":
        raise ConfigError(
            f"must be of the ensemble's task and not embedding, got {spec.task} in {member.uri} for {task}; answers of "
            "different kinds, and features of different models, cannot be merged",
            key=key,
        )
    if spec.classes != first.classes:
        raise ConfigError(
            "must have the classes of the first member, in their order, got "
            f"{describe_classes(spec.classes, first.classes)} in {member.uri}; only models of the same classes can be "
            "merged",
            key=key,
        )
    if spec.input != first.input:
        changes = changed_keys(plain_facts(first.input), plain_facts(spec.input), prefix="input.")
        shown = ", ".join(f"{name} {new} for {old}" for name, old, new in changes[:3])
        raise ConfigError(
            f"must have the input of the first member, since an image is prepared once, got {shown} in {member.uri}; "
            "prepare the models alike",
            key=key,
        )


def describe_classes(found: Sequence[str], expected: Sequence[str]) -> str:
    """The first difference of two lists of classes."""
    if len(found) != len(expected):
        return f"{len(found)} for {len(expected)} classes"
    index = next(i for i, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
    return f"{found[index]!r} for {expected[index]!r} as class {index}"
