"""What the user says of a model, from flags, ``--set`` or a job's ``model_facts``, as facts by dotted key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference_core import storage
from inference_core.assignments import read_assignment
from inference_core.importing.draft import Fact
from inference_core.importing.presets import find_preset
from inference_core.models.package import read_class_names

PRESET_KEY = "preset"
FREE_MAPPINGS = ("output.names", "output.thresholds")
"""Keys whose mappings are one fact: the names in them are not ours and may hold dots."""

SAID = "said by the user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The user's facts."""

    facts: tuple[Fact, ...] = ()
    """Those of a preset first; of one key the last counts."""
    crop_frac: float | None = None
    """See Preset."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """By dotted key, one value each."""


def read_given(said: Mapping[str, Any]) -> Given:
    """Check and flatten what a user said.

    Args:
        said: keys of ``model.yaml``, nested or dotted, and ``preset``; ``classes`` may name a file, and
            ``architecture`` may be a name or an import path.

    Raises:
        ConfigError: the preset is unknown, or the file of classes cannot be read.
    """
    values = dict(flatten(said))
    preset = find_preset(values.pop(PRESET_KEY)) if PRESET_KEY in values else None
    if isinstance(values.get("classes"), str):
        values["classes"] = read_class_names(storage.normalise(values["classes"]))
    if isinstance(architecture := values.pop("architecture", None), str):
        values[f"architecture.{'import' if ':' in architecture else 'name'}"] = architecture
    facts = {key: Fact(key=key, value=value, origin=SAID) for key, value in values.items()}
    recipe = {
        key: Fact(key=key, value=value, origin=f"{SAID} (preset {said[PRESET_KEY]})")
        for key, value in (preset.facts.items() if preset else ())
    }
    merged = {**recipe, **facts}
    return Given(
        facts=tuple(merged.values()),
        crop_frac=preset.crop_frac if preset else None,
        values={key: fact.value for key, fact in merged.items()},
    )


def flatten(said: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested mappings."""
    for key, value in said.items():
        dotted = f"{prefix}{key}"
        if isinstance(value, Mapping) and dotted not in FREE_MAPPINGS:
            yield from flatten(value, prefix=f"{dotted}.")
        else:
            yield dotted, value


def read_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """``key.subkey=value`` texts, the values in YAML, by dotted key.

    Raises:
        ConfigError: a text has no key or no value, or the value is no YAML.
    """
    return dict(read_assignment(assignment, example="input.fit=stretch") for assignment in assignments)
