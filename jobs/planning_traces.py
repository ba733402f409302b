"""What a planning writes into an output before the plan makes it a run, and so what an interrupted one leaves."""

from __future__ import annotations

from inference_core import storage

KEPT_FOLDER = "model"
"""Of a package that was imported for the run; another name begins with it, see ``kept_model``."""
KEPT_RECORD = "import.json"
"""Written first into such a folder: it tells ours from a folder that a user calls so."""


def find_foreign(output: str) -> str | None:
    """The path of the first object at an output that is no trace of a planning."""
    own_folders: dict[str, bool] = {}
    for found in storage.list_objects(output):
        folder, separator, _ = found.path.partition("/")
        if separator and folder not in own_folders:
            own_folders[folder] = is_kept_folder(output, folder)
        is_trace = own_folders.get(folder, False) or found.path.startswith(storage.PROBE_PREFIX)
        if not is_trace:
            return found.path
    return None


def is_kept_folder(output: str, folder: str) -> bool:
    """Whether a folder of an output holds a model that a planning keeps."""
    is_named_so = folder == KEPT_FOLDER or folder.startswith(f"{KEPT_FOLDER}-")
    return is_named_so and storage.exists(storage.join(output, folder, KEPT_RECORD))
