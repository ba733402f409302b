"""A draft with the user's facts on top: what a package will say, from where, and what is still missing."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference_core.errors import ConfigError
from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.given import SAID, Given

TAGS = ("name", "import")
"""Last keys that choose a kind, so that another one makes the options of the first meaningless."""
OPTIONS = ("output.decoder", "architecture")
"""Facts of which these are the tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that is known of a model."""

    source: str
    """As the user named it."""
    found: tuple[Fact, ...]
    """Read in the source, without what the user says otherwise."""
    assumed: tuple[Fact, ...]
    """Usual for its kind, without what was found or said."""
    said: tuple[Fact, ...]
    """By the user."""
    missing: tuple[Gap, ...]
    """What only the user can say."""

    def settings(self) -> dict[str, Any]:
        """The nested mapping of a ``model.yaml``."""
        data: dict[str, Any] = {}
        for fact in (*self.assumed, *self.found, *self.said):
            put(data, fact.key, copy.deepcopy(fact.value))
        return data

    def record(self) -> dict[str, Any]:
        """All of it in JSON's own types."""
        kinds = {"found": self.found, "assumed": self.assumed, "said": self.said}
        facts = {
            kind: [{"key": fact.key, "value": fact.value, "origin": fact.origin} for fact in facts]
            for kind, facts in kinds.items()
        }
        gaps = [{"key": gap.key, "reason": gap.reason, "example": f"{gap.key}={gap.example}"} for gap in self.missing]
        return {"source": self.source, **facts, "missing": gaps}

    def assumption_lines(self) -> list[str]:
        """What a user who sees no table should know: each fact that nobody said, on a line."""
        head = f"imported {self.source} on the fly; assumed:"
        return [head, *(f"  {fact.key}: {fact.value} ({fact.origin})" for fact in self.assumed)]


class MissingFactsError(ConfigError):
    """A source does not tell all that a package needs.

    Args:
        findings: with at least one gap.
        flag: what stands before ``key=value`` where the user says a fact.
    """

    def __init__(self, findings: Findings, *, flag: str = "--set ") -> None:
        super().__init__(missing_text(findings, flag=flag))
        self.findings = findings


def missing_text(findings: Findings, *, flag: str) -> str:
    """The message of MissingFactsError: each missing fact, why, and how to say it."""
    count = len(findings.missing)
    head = f"{findings.source} does not tell {count} fact{'s' if count > 1 else ''} that a model package needs; say "
    lines = [f"{head}{'them' if count > 1 else 'it'}:"]
    lines += [f"  {gap.key}: {gap.reason}; e.g. {say(gap, flag=flag)}" for gap in findings.missing]
    if any(gap.key in ("input.scale", "input.mean", "input.std") for gap in findings.missing):
        lines.append("  or take a usual recipe for the input.* facts with a preset, e.g. " + preset_flag(flag))
    return "\n".join(lines)


def say(gap: Gap, *, flag: str) -> str:
    """The option that fills a gap, as a shell takes it."""
    option, _, prefix = flag.partition(" ")
    return f"{option} {shlex.quote(f'{prefix}{gap.key}={gap.example}')}"


def preset_flag(flag: str) -> str:
    """How a preset is said beside ``flag``."""
    option, _, prefix = flag.partition(" ")
    return f"{option} {prefix}preset=imagenet"


def overlay(draft: Draft, given: Given, *, source: str) -> Findings:
    """The draft with the user's facts on top.

    Args:
        draft: what the source tells.
        given: what the user says; it wins.
        source: as the user named it.
    """
    said = [*given.facts, *crop_facts(draft, given)]
    keys = [fact.key for fact in said]
    found = tuple(fact for fact in draft.found if not is_replaced(fact, said))
    known = {fact.key for fact in found}
    assumed = tuple(fact for fact in draft.assumed if fact.key not in known and not is_replaced(fact, said))
    missing = tuple(gap for gap in draft.missing if not any(is_answer(key, gap.key) for key in keys))
    return Findings(source=source, found=found, assumed=assumed, said=tuple(said), missing=missing)


def crop_facts(draft: Draft, given: Given) -> list[Fact]:
    """The short side that a preset's crop is cut from, where the input's size is known and the user names none."""
    if given.crop_frac is None or given.values.get("input.fit") != "shortest_side_crop":
        return []
    sizes = {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}
    size_hw = given.values.get("input.size_hw", sizes.get("input.size_hw"))
    if "input.resize_px" in given.values or not is_size(size_hw):
        return []
    resize_px = int(max(size_hw) / given.crop_frac)
    return [Fact(key="input.resize_px", value=resize_px, origin=f"{SAID} (preset: size / {given.crop_frac:g})")]


def is_size(value: Any) -> bool:
    """Whether a value is a height and a width."""
    return isinstance(value, Sequence) and len(value) == 2 and all(isinstance(side, int) for side in value)


def is_replaced(fact: Fact, said: Iterable[Fact]) -> bool:
    """Whether the user says something else in a fact's place; options of a kind go with their kind."""
    for own in said:
        if own.key == fact.key or fact.key.startswith(f"{own.key}."):
            return True
        group, _, last = own.key.rpartition(".")
        if group in OPTIONS and last in TAGS and (fact.key == group or fact.key.startswith(f"{group}.")):
            kept = fact.value.get(last) if isinstance(fact.value, Mapping) else None
            if kept != own.value:
                return True
    return False


def is_answer(key: str, gap: str) -> bool:
    """Whether saying ``key`` fills ``gap``: the same key, one above it or one below it."""
    return key == gap or gap.startswith(f"{key}.") or key.startswith(f"{gap}.")


def put(data: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested mappings.

    Raises:
        ConfigError: a key above it holds no mapping.
    """
    *parents, last = key.split(".")
    target: Any = data
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ConfigError(f"must be a key below a mapping, got {parent}: {target!r}; correct it", key=key)
    target[last] = value
