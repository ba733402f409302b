"""Write a model package: ``model.yaml``, the class names and the weights."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.models.package import SPEC_FILE, ModelPackage, load_package
from inference_core.spec import ModelSpec
from inference_core.validation import plain_facts

CLASSES_FILE = "classes.txt"
MAX_LISTED_CLASSES = 20
"""Class names in ``model.yaml`` itself; more stand in a file of their own."""


def write_package(uri: str, spec: ModelSpec, *, files: Mapping[str, bytes], trusts_code: bool = False) -> ModelPackage:
    """Write a package into a folder that holds none.

    Args:
        uri: folder or prefix.
        spec: names its weights relative to the package.
        files: by path below the folder, the weights among them, and the code of the package that this one is made
            from (``package.code``); written before ``model.yaml``, whose presence makes the package.
        trusts_code: whether code among them may be run later.

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
    return load_package(folder, trusts_code=trusts_code)


def fits_no_line(name: str) -> bool:
    """Whether a class name would be read back from a line of a text file as another."""
    return name != name.strip() or not name or len(name.splitlines()) != 1


def check_is_free(folder: str, *, key: str = "--out") -> None:
    """Raise ConfigError of ``key`` where a folder holds anything."""
    found = next(iter(storage.list_objects(folder)), None)
    if found is not None:
        raise ConfigError(
            f"must be an empty or new folder, got {folder} with {found.path}; choose another or clear it", key=key
        )
