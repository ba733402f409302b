"""Which files of a folder that ``save_pretrained`` wrote are the model: its configuration and its weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from inference_core.errors import ModelError

CONFIG_FILE = "config.json"
LONE_FILES = ("model.safetensors", "pytorch_model.bin")
"""Most wanted first."""
INDEX_ENDING = ".index.json"
"""Behind either name: which tensors are in which of several files."""


def read_model_files(present: Iterable[str], read: Callable[[str], bytes], *, uri: str) -> dict[str, bytes]:
    """The files that a model needs, by name: nothing else in the folder is read.

    Args:
        present: names of the files there.
        read: gives a file's bytes.
        uri: of the folder, for messages.

    Raises:
        ModelError: the configuration or a file of weights is missing.
    """
    names = set(present)
    if CONFIG_FILE not in names:
        raise ModelError(
            f"weights must be the folder of a model, got {uri} without {CONFIG_FILE}; save it with save_pretrained"
        )
    files = {CONFIG_FILE: read(CONFIG_FILE)}
    for lone in LONE_FILES:
        if lone in names:
            return {**files, lone: read(lone)}
        if (index := lone + INDEX_ENDING) in names:
            files[index] = read(index)
            return {**files, **{shard: read(shard) for shard in shards_of(files[index], name=index)}}
    raise ModelError(
        f"weights must be the folder of a model, got {uri} without {' or '.join(LONE_FILES)}; save it with "
        "save_pretrained"
    )


def weight_files(files: Mapping[str, bytes]) -> list[str]:
    """Names of those that hold tensors."""
    return sorted(name for name in files if name != CONFIG_FILE and not name.endswith(INDEX_ENDING))


def shards_of(index: bytes, *, name: str) -> list[str]:
    """Files that an index names.

    Raises:
        ModelError: it is no index, or a name would leave the folder.
    """
    try:
        shards = sorted(set(json.loads(index)["weight_map"].values()))
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise ModelError(
            f"{name} must map tensors to files under weight_map, got {exc!r}; save the model again"
        ) from exc
    for shard in shards:
        if not isinstance(shard, str) or "/" in shard or "\\" in shard or shard.startswith("."):
            raise ModelError(f"{name} must name files beside it, got {shard!r}; save the model again")
    return shards
