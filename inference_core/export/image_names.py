"""Names that images have in annotations: safe in every file system, the same in every run."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from inference_core.export.masks import mask_name, safe_part

UintArray = NDArray[np.uint64]


def file_name(image_id: str) -> str:
    """The id as a relative path that stays below its folder; nearly always the id itself."""
    *folders, name = image_id.split("/")
    parts = [safe_part(part, suffix="", is_folder=True) for part in folders]
    return "/".join([*parts, safe_part(name, suffix="", is_folder=False)])


class StemNames:
    """Names of files that annotate one image each, as tools look for them: the image's, with another suffix.

    Where that would be the name of two images, both keep their whole id before the suffix.

    Args:
        image_ids: of the whole run.

    Cost: 16 bytes for each image while this is built.
    """

    def __init__(self, image_ids: Iterable[str]) -> None:
        found = [hash_of(name) for image_id in image_ids for name in {image_id, stem_of(image_id)}]
        hashes, counts = np.unique(np.array(found, np.uint64), return_counts=True)
        self._ambiguous = hashes[counts > 1]

    @property
    def num_ambiguous(self) -> int:
        """How many names are those of several images."""
        return len(self._ambiguous)

    def name(self, image_id: str, *, folder: str, suffix: str) -> str:
        """The path of an image's file below the target."""
        stem = stem_of(image_id)
        position = int(np.searchsorted(self._ambiguous, hash_of(stem)))
        is_ambiguous = position < len(self._ambiguous) and self._ambiguous[position] == hash_of(stem)
        return mask_name(image_id if is_ambiguous else stem, folder=folder, suffix=suffix)


def stem_of(image_id: str) -> str:
    """The id without the suffix of its last name."""
    folder, slash, name = image_id.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0] or name}"


def hash_of(name: str) -> np.uint64:
    """64 bits of a name's hash."""
    return np.uint64(int.from_bytes(blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest(), "big"))
