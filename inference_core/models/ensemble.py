"""What the packages of an ensemble must have in common, and what the ensemble takes over from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from inference_core import storage
from inference_core.detection_spec import gives_masks, has_logit_masks
from inference_core.enhance_spec import EnsembleSpec
from inference_core.errors import ConfigError
from inference_core.hook_spec import HookSpec
from inference_core.hooks.named import package_files
from inference_core.hooks.package_code import PackageCode, collect_code
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

    @property
    def code(self) -> PackageCode:
        """Python files that lie in it."""


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
    check_views_of_image(members)
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


def input_blocks(members: Sequence[Member]) -> tuple[int, ...]:
    """Which of the distinct inputs of an image each member takes, by the first member that takes it.

    Members whose inputs differ in what engines do alone (normalisation, order of channels) share one.
    """
    firsts: list[Member] = []
    blocks = []
    for member in members:
        block = next((index for index, first in enumerate(firsts) if prepares_alike(member, first)), len(firsts))
        firsts += [member] * (block == len(firsts))
        blocks.append(block)
    return tuple(blocks)


def prepares_alike(member: Member, other: Member) -> bool:
    """Whether two packages make the same tiles of every image: by the same options, and the same code of filters."""
    return member.spec.input.prepares_like(other.spec.input) and filter_code(member) == filter_code(other)


def filter_code(member: Member) -> Mapping[str, bytes]:
    """The files of a package that its filters need."""
    filters = [step.import_path for step in member.spec.input.filters if isinstance(step, HookSpec)]
    return collect_code(package_files(filters), read=member.code.get)


def check_member(member: Member, *, first: ModelSpec, task: Any, key: str) -> None:
    """Raise ConfigError unless a member can be merged with the first."""
    spec = member.spec
    if spec.ensemble is not None:
        raise ConfigError(f"must be a single model, got the ensemble {member.uri}; name its members", key=key)
    if spec.task != task:
        raise ConfigError(
            f"must be of the ensemble's task, got {spec.task} in {member.uri} for {task}; answers of different kinds "
            "cannot be merged",
            key=key,
        )
    if spec.classes != first.classes:
        raise ConfigError(
            "must have the classes of the first member, in their order, got "
            f"{describe_classes(spec.classes, first.classes)} in {member.uri}; only models of the same classes can be "
            "merged",
            key=key,
        )
    if spec.input.decode != first.input.decode:
        changes = changed_keys(first.input.decode.model_dump(), spec.input.decode.model_dump(), prefix="input.decode.")
        shown = ", ".join(f"{name} {new} for {old}" for name, old, new in changes[:3])
        raise ConfigError(
            f"must have the input.decode of the first member, since an image is decoded once, got {shown} in "
            f"{member.uri}; decode alike",
            key=key,
        )
    if mask_kind(spec) != mask_kind(first):
        raise ConfigError(
            f"must give instance masks as the first member does ({mask_kind(first)}), got {mask_kind(spec)} in "
            f"{member.uri}; set output.decoder and output.mask_px alike",
            key=key,
        )


def mask_kind(spec: ModelSpec) -> str:
    """What instance masks of a model are: only those of one kind stand beside each other in one answer."""
    decoder = spec.output.decoder
    if decoder is None or not gives_masks(decoder):
        return "none"
    return f"{'logits' if has_logit_masks(decoder) else 'scores'}, mask_px {spec.output.mask_px}"


def check_views_of_image(members: Sequence[Member]) -> None:
    """Raise ConfigError where masks are to be merged in the image, and a member does not see all of it."""
    if max(input_blocks(members)) == 0 or members[0].spec.task != "segmentation":
        return
    for index, member in enumerate(members):
        if not member.spec.input.sees_whole_image:
            raise ConfigError(
                f"must see the whole image where members are prepared differently, got input.fit "
                f"{member.spec.input.fit} with a crop in {member.uri}; use letterbox, stretch, tile or native",
                key=f"ensemble.members.{index}",
            )


def check_input(spec: ModelSpec, members: Sequence[Member]) -> None:
    """Raise ConfigError where an ensemble says that images are prepared otherwise than its first member says."""
    if not spec.input.prepares_like(members[0].spec.input):
        raise ConfigError(
            "must be absent or that of the first member in an ensemble, got another; each member says how its images "
            "are prepared, remove it",
            key="input",
        )


def describe_classes(found: Sequence[str], expected: Sequence[str]) -> str:
    """The first difference of two lists of classes."""
    if len(found) != len(expected):
        return f"{len(found)} for {len(expected)} classes"
    index = next(i for i, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
    return f"{found[index]!r} for {expected[index]!r} as class {index}"
