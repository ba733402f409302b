"""Find the part of a checkpoint that an architecture's weights are: the prefix in front of their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from inference_core.errors import ConfigError
from inference_core.models.checkpoint import COUNTER, shown

if TYPE_CHECKING:
    from torch import Tensor

COMPILED = "_orig_mod."
"""What ``torch.compile`` puts into the names of a module's weights, wherever the module stands."""

PREFIX_KEY = "architecture.prefix"


def fit_names(
    state: Mapping[str, Tensor],
    *,
    expected: Mapping[str, Tensor],
    name: str,
    prefix: str | None = None,
    may_leave_out: bool,
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors that belong to an architecture, under its own names.

    Names that fit as they are stay. Else the one prefix is removed behind which all of the architecture's names are
    found; where shapes differ, they decide between several. What lies outside of it (the weights of a loss, of a
    metric) is left out.

    Args:
        state: tensors by name.
        expected: the architecture's own tensors by name.
        name: of the file, for messages.
        prefix: the one to remove; None finds it.
        may_leave_out: whether a prefix that was found may leave tensors out; one that is given always may.

    Returns:
        Tensors by name, and notes of what was removed. Where nothing fits, the nearest there is: loading it tells
        which names are missing.

    Raises:
        ConfigError: no name begins with ``prefix``, several prefixes fit, or one fits that would leave tensors out
            where that must be said.
    """
    if prefix is not None:
        return strip(state, given_prefix(prefix, state=state), name=name)
    needed = {key for key in expected if not key.endswith(COUNTER)}
    if needed <= set(state):
        return dict(state), ()
    plain = {key.replace(COMPILED, ""): tensor for key, tensor in state.items()}
    if len(plain) == len(state) and needed <= set(plain):
        return plain, (f"{name}: removed {COMPILED!r} of torch.compile from the names",)
    found = count_behind_prefixes(state, needed)
    fitting = [key for key, count in found.items() if count == len(needed)]
    if len(fitting) > 1:
        fitting = [choose_by_shapes(fitting, state=state, expected=expected)]
    nearest = fitting or [key for key, _ in found.most_common(1)]
    if not nearest:
        return dict(state), ()
    outside = sorted(key for key in state if not key.startswith(nearest[0]))
    if outside and fitting and not may_leave_out:
        raise ConfigError(
            f"must be {fitting[0]!r} if that part of {name} is meant, got none; set it, and "
            f"{shown(outside, 'other')} are left out",
            key=PREFIX_KEY,
        )
    return strip(state, nearest[0], name=name) if fitting or may_leave_out or not outside else (dict(state), ())


def count_behind_prefixes(state: Iterable[str], needed: set[str]) -> Counter[str]:
    """How many of the needed names stand behind each prefix."""
    counts: Counter[str] = Counter()
    for key in state:
        parts = key.split(".")
        for start in range(len(parts)):
            if ".".join(parts[start:]) in needed:
                counts["".join(f"{part}." for part in parts[:start])] += 1
    return counts


def choose_by_shapes(prefixes: list[str], *, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """The one prefix behind which the shapes fit too.

    Raises:
        ConfigError: there are several, or none.
    """
    fitting = [
        prefix
        for prefix in prefixes
        if all(state[prefix + key].shape == tensor.shape for key, tensor in expected.items() if prefix + key in state)
    ]
    if len(fitting) == 1:
        return fitting[0]
    raise ConfigError(
        f"must name one of the parts that fit the architecture ({', '.join(map(repr, sorted(fitting or prefixes)))}), "
        "got none; set the one that is meant",
        key=PREFIX_KEY,
    )


def given_prefix(prefix: str, *, state: Iterable[str]) -> str:
    """The user's prefix with its dot.

    Raises:
        ConfigError: no name begins with it.
    """
    whole = prefix if not prefix or prefix.endswith(".") else f"{prefix}."
    if not any(key.startswith(whole) for key in state):
        raise ConfigError(
            f"must begin names of the weights, got {prefix!r}; those there are: {', '.join(top_names(state))}",
            key=PREFIX_KEY,
        )
    return whole


def strip(state: Mapping[str, Tensor], prefix: str, *, name: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors behind a prefix, and notes of those outside of it."""
    inside = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
    outside = sorted(key for key in state if not key.startswith(prefix))
    notes = [f"{name}: removed the prefix {prefix!r} from the names"] if prefix else []
    if outside:
        notes.append(f"{name}: left out {shown(outside, 'other')}, outside of it")
    return inside, tuple(notes)


def top_names(state: Iterable[str]) -> list[str]:
    """What names begin with, up to the first dot."""
    return sorted({key.partition(".")[0] for key in state})
