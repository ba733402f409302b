"""Labels by folder: images lie in a folder named after their class."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.evaluation.labels.class_ids import KEY, ClassIds

FOLDERS = "folders"
"""Given in the place of a URI: the folders of the run's own images."""


def classes_of_folders(names: Sequence[str], ids: ClassIds, *, origin: str) -> dict[str, int]:
    """Class id by image, from the name of the folder that each image lies in.

    Args:
        names: paths of images.
        ids: of the package.
        origin: for errors.

    Raises:
        ConfigError: an image lies in no folder, or a folder is no class.
    """
    loose = [name for name in names if "/" not in name]
    if loose:
        raise ConfigError(
            f"must be images in folders named after their class, got {loose[0]} in none, of {origin}; name a CSV file",
            key=KEY,
        )
    folders = {name: name.split("/")[-2] for name in names}
    class_ids = ids.of_names(sorted(set(folders.values())), origin=origin)
    found = {name: class_ids[folder] for name, folder in folders.items()}
    return {name: class_id for name, class_id in found.items() if class_id is not None}


def classes_of_tree(uri: str, ids: ClassIds) -> dict[str, int]:
    """Class id by path below a folder or prefix, whose folders are named after classes."""
    return classes_of_folders([entry.path for entry in storage.list_objects(uri)], ids, origin=uri)
