"""Pick golden images: spread over what the user has, of different sizes where there are any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice, zip_longest
from typing import TypeVar

from inference_core import storage
from inference_core.errors import ConfigError, StorageError
from inference_core.golden.read import GoldenImage
from inference_core.images import SUPPORTED_FORMATS, Limits
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from inference_core.preparer import Preparer
from inference_core.records import SourceFacts

T = TypeVar("T")

POOL_FACTOR = 4
"""So many times the wanted number are read, spread evenly, to choose sizes from."""
IMAGE_ENDINGS = (*(f".{name}" for name in SUPPORTED_FORMATS), ".jpg", ".tif")
"""Of the files of a folder only these are candidates; a file that is named is one whatever its name."""


def pick_images(package: ModelPackage, uris: Sequence[str], *, count: int) -> list[GoldenImage]:
    """Images for a package that can be prepared for it.

    Args:
        package: as read.
        uris: files and folders.
        count: most images.

    Raises:
        ConfigError: there is no image, the number is not positive, or an image cannot be read; it is named.
    """
    if count < 1:
        raise ConfigError(f"must be at least 1, got {count}; correct it", key="--count")
    candidates = list(dict.fromkeys(uri for given in uris for uri in list_candidates(given)))
    preparer = build_preparer(package)
    pool = [read_image(uri, preparer=preparer) for uri in spread(candidates, count=count * POOL_FACTOR)]
    distinct: dict[str, tuple[GoldenImage, SourceFacts]] = {}
    for image, facts in pool:
        distinct.setdefault(facts.sha256, (image, facts))
    return vary_sizes(tuple(distinct.values()), count=count)


def list_candidates(uri: str) -> list[str]:
    """A file itself, or the images below a folder but those of hidden folders and names."""
    folder = storage.normalise(uri)
    found = [
        entry.uri
        for entry in storage.list_objects(folder)
        if entry.path.lower().endswith(IMAGE_ENDINGS) and not f"/{entry.path}".count("/.")
    ]
    if not found and not storage.exists(folder):
        raise ConfigError(f"must name images or folders of images, got {uri} without; correct it", key="--images")
    return found or [folder]


def spread(entries: Sequence[T], *, count: int) -> list[T]:
    """At most ``count`` of them, evenly over all."""
    taken = min(count, len(entries))
    return [entries[index * len(entries) // taken] for index in range(taken)]


def read_image(uri: str, *, preparer: Preparer) -> tuple[GoldenImage, SourceFacts]:
    """One image and its size, read and prepared once to see that it can be.

    Raises:
        ConfigError: it cannot be.
    """
    name = uri.rpartition("/")[2]
    (data,) = storage.read_many([uri], max_bytes=Limits().max_bytes)
    reason = str(data) if isinstance(data, StorageError) else ""
    item = preparer.prepare(data, image_id=name)
    if isinstance(data, bytes) and item.prepared is not None:
        return GoldenImage(name=name, data=data), item.source
    raise ConfigError(
        f"must be good images, got {uri}: {reason or f'{item.status}: {item.error}'}; leave it out", key="--images"
    )


def vary_sizes(pool: Sequence[tuple[GoldenImage, SourceFacts]], *, count: int) -> list[GoldenImage]:
    """At most ``count`` of the pool, in its order: each size in turn, spread over the images of that size."""
    of_size: dict[tuple[int, int], list[int]] = {}
    for index, (_, facts) in enumerate(pool):
        of_size.setdefault(facts.image_hw, []).append(index)
    rounds = zip_longest(*([image_hw] * len(indices) for image_hw, indices in of_size.items()))
    in_turn = (image_hw for one_round in rounds for image_hw in one_round if image_hw is not None)
    quotas = Counter(islice(in_turn, count))
    taken = (index for image_hw, quota in quotas.items() for index in spread(of_size[image_hw], count=quota))
    return [pool[index][0] for index in sorted(taken)]
