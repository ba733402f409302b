"""The images that a conversion is proven on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from inference_core import storage
from inference_core.errors import ConfigError, InputError, StorageError
from inference_core.golden.read import read_golden
from inference_core.images import Limits
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from inference_core.preparer import PrepareSource

MAX_IMAGES = 64
"""Of a folder so many are taken, evenly spread over its paths: more prove little more."""


def read_sample(
    package: ModelPackage, images: Sequence[str], *, max_images: int = MAX_IMAGES, key: str = "--images"
) -> list[PreparedItem]:
    """Prepared images: those that are named, else the package's golden ones.

    Args:
        package: says how they are prepared.
        images: paths, URIs and folders.
        max_images: of more so many are taken, evenly spread.
        key: the option that named them, for errors.

    Returns:
        Those that can be read, at least one.

    Raises:
        ConfigError: none can be, or there are none.
    """
    preparer = build_preparer(package)
    sources = list(named_images(images, max_images=max_images, key=key)) if images else golden_images(package)
    items = [preparer.prepare(source, image_id=name) for name, source in sources]
    good = [item for item in items if item.prepared is not None]
    if not good:
        reason = f"; {items[0].source.image_id}: {items[0].error}" if items else ""
        raise ConfigError(
            f"must name images that the answers are compared on, got {len(items)}, none of them readable{reason}; "
            "give files or a folder, or seal the package",
            key=key,
        )
    return good


def named_images(images: Sequence[str], *, max_images: int, key: str) -> Iterator[tuple[str, PrepareSource]]:
    """Name and content of files and of what lies in folders."""
    uris = [uri for image in images for uri in files_of(image, key=key)]
    kept = [uris[index * len(uris) // max_images] for index in range(max_images)] if len(uris) > max_images else uris
    yield from zip(kept, storage.read_many(kept, max_bytes=Limits().max_bytes), strict=True)


def files_of(image: str, *, key: str) -> list[str]:
    """The file itself, or those below the folder."""
    try:
        return [found.uri for found in storage.list_objects(image)] or [image]
    except (InputError, StorageError) as exc:
        raise ConfigError(f"must name files or folders, got {image!r}: {exc}", key=key) from exc


def golden_images(package: ModelPackage) -> list[tuple[str, PrepareSource]]:
    """Name and content of the images that the package was sealed with; none where it was not."""
    golden = read_golden(package)
    return [] if golden is None else [(image.name, image.data) for image in golden.images]
