"""Write a model package: ``model.yaml``, the class names and the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.models.package import SPEC_FILE, ModelPackage, load_package
from inference_core.spec import ModelSpec

CLASSES_FILE = "classes.txt"
TAG = "name"
"""Key that tells the kinds of a filter, a decoder or a step apart; written even where it is the class's default."""
MAX_LISTED_CLASSES = 20
"""Class names in ``model.yaml`` itself; more stand in a file of their own."""


def write_package(uri: str, spec: ModelSpec, *, files: Mapping[str, bytes]) -> ModelPackage:
    """Write a package into a folder that holds none.

    Args:
        uri: folder or prefix.
        spec: names its weights relative to the package.
        files: by path below the folder, the weights among them; written before ``model.yaml``, whose presence
            makes the package.

    Returns:
        The package as read back.

    Raises:
        ConfigError: the folder holds files already.
    """
    folder = storage.normalise(uri)
    check_is_free(folder)
    written = dict(files)
    facts = plain_facts(spec)
    if len(spec.classes) > MAX_LISTED_CLASSES and not any(fits_no_line(name) for name in spec.classes):
        written[CLASSES_FILE] = "".join(f"{name}\n" for name in spec.classes).encode()
        facts["classes"] = CLASSES_FILE
    for path, data in sorted(written.items()):
        storage.replace(storage.join(folder, path), data)
    text = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    storage.replace(storage.join(folder, SPEC_FILE), text.encode())
    return load_package(folder)


def plain_facts(settings: BaseModel) -> dict[str, Any]:
    """What a YAML file says of settings: every key that is not at its default, and those that tell kinds apart."""
    facts = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if name == TAG or value != field.get_default(call_default_factory=True):
            facts[field.alias or name] = plain_value(value)
    return facts


def plain_value(value: Any) -> Any:
    """A value of settings in YAML's own types."""
    if isinstance(value, BaseModel):
        return plain_facts(value)
    if isinstance(value, Mapping):
        return {str(key): plain_value(entry) for key, entry in value.items()}
    return [plain_value(entry) for entry in value] if isinstance(value, list | tuple) else value


def fits_no_line(name: str) -> bool:
    """Whether a class name would be read back from a line of a text file as another."""
    return name != name.strip() or not name or len(name.splitlines()) != 1


def check_is_free(folder: str) -> None:
    """Raise ConfigError where a folder holds anything."""
    found = next(iter(storage.list_objects(folder)), None)
    if found is not None:
        raise ConfigError(
            f"must be an empty or new folder, got {folder} with {found.path}; choose another or clear it", key="--out"
        )
