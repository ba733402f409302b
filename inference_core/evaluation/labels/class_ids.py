"""What labels call classes, as class ids of the package."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import yaml

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError
from inference_core.validation import parse_yaml

KEY = "--labels"
MAP_KEY = "--class-map"
REST = "*"
"""In a class map: every name that neither it nor the package has, and every number that it does not have."""
MAX_NAMED = 5
"""Wrong names in a message."""


class ClassIds:
    """Finds the class id of a name or a number.

    Args:
        classes: of the package, in output order.
        renamed: what labels call classes, by their names or numbers; None for what is not to be counted. REST stands
            for all others.
    """

    def __init__(self, classes: Sequence[str], *, renamed: Mapping[str, str | None] | None = None) -> None:
        self.classes = tuple(classes)
        self._ids = {name: index for index, name in enumerate(classes)}
        self._renamed = dict(renamed or {})
        unknown = sorted({name for name in self._renamed.values() if name is not None and name not in self._ids})
        if unknown:
            raise ConfigError(f"must map to classes of the package, got {self.explain(unknown)}", key=MAP_KEY)

    def __contains__(self, name: str) -> bool:
        return name in self._ids

    @property
    def has_map(self) -> bool:
        """Whether anything is renamed."""
        return bool(self._renamed)

    def of_name(self, name: str) -> int | None:
        """The class id of a name, None where it is not to be counted.

        Raises:
            KeyError: the package has no such class.
        """
        if name in self._renamed:
            target = self._renamed[name]
        elif name in self._ids:
            target = name
        elif REST in self._renamed:
            target = self._renamed[REST]
        else:
            raise KeyError(name)
        return None if target is None else self._ids[target]

    def of_names(self, names: Sequence[str], *, origin: str) -> dict[str, int | None]:
        """The class ids of several names.

        Raises:
            ConfigError: the package lacks some; all of them are counted, the first ones named with what is near.
        """
        found, unknown = {}, []
        for name in dict.fromkeys(names):
            try:
                found[name] = self.of_name(name)
            except KeyError:
                unknown.append(name)
        if unknown:
            raise ConfigError(
                f"must name classes of the package, got {len(unknown)} others in {origin}: {self.explain(unknown)}; "
                f"rename them, or say what they are with {MAP_KEY} FILE (YAML, theirs: ours, or null to leave it out)",
                key=KEY,
            )
        return found

    def of_number(self, number: int, *, origin: str) -> int | None:
        """The class id that a number stands for, by the map or as it is; None where it is not to be counted.

        Raises:
            ConfigError: the package has fewer classes.
        """
        if str(number) in self._renamed:
            return self.of_name(str(number))
        is_own = 0 <= number < len(self.classes)
        if is_own and self.classes[number] in self._renamed:
            return self.of_name(self.classes[number])
        if REST in self._renamed:  # numbers of another list of classes, then
            return self.of_name(REST)
        if is_own:
            return number
        raise ConfigError(
            f"must hold class ids from 0 to {len(self.classes) - 1}, got {number} in {origin}; correct it, or give "
            f"{MAP_KEY}",
            key=KEY,
        )

    def explain(self, unknown: Sequence[str]) -> str:
        """Unknown names, each with the nearest of ours."""
        ours = {spelled(name): name for name in reversed(self.classes)}
        parts = []
        for name in unknown[:MAX_NAMED]:
            near = difflib.get_close_matches(spelled(name), ours, n=1)
            parts.append(f"{name!r} (near: {ours[near[0]]!r})" if near else repr(name))
        more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
        return ", ".join(parts) + more


def spelled(name: str) -> str:
    """A name without what spellings differ in: capitals, and what stands between words."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def read_class_map(uri: str) -> dict[str, str | None]:
    """The class map in a YAML or JSON file: names or numbers of labels to classes of the package or null.

    Raises:
        ConfigError: there is no such file, or it holds something else.
    """
    try:
        data = parse_yaml(storage.read_bytes(uri), origin=uri)
    except MissingObjectError as exc:
        raise ConfigError(f"must be an existing file, got {uri}; check the path", key=MAP_KEY) from exc
    wrong = [value for value in data.values() if value is not None and not isinstance(value, str)]
    if wrong or not data:
        shown = yaml.safe_dump(wrong[0], default_flow_style=True).strip() if wrong else "nothing"
        raise ConfigError(f"must map names to names or null, got {shown} in {uri}; put it in quotes", key=MAP_KEY)
    return {str(key): value for key, value in data.items()}
