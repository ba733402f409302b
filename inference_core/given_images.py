"""Images as callers give them: in files, at addresses, or as pixels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as PillowImage

from inference_core import storage
from inference_core.errors import StorageError
from inference_core.items import PreparedItem
from inference_core.preparer import Preparer, PrepareSource, elapsed_ms

Input = bytes | str | Path | NDArray[np.generic] | PillowImage
"""Encoded bytes, a path or URI, pixels, or a Pillow image."""


def prepare_source(preparer: Preparer, image: Input, *, image_id: str, max_bytes: int) -> PreparedItem:
    """Read what has to be read, and prepare it."""
    started = time.perf_counter()
    source: PrepareSource
    if isinstance(image, str | Path):
        (source,) = storage.read_many([str(image)], max_bytes=max_bytes)
    else:
        source = image
    return preparer.prepare(source, image_id=image_id, uri=uri_of(image), fetch_ms=elapsed_ms(started))


def prepare_sources(preparer: Preparer, images: Sequence[Input], *, max_bytes: int) -> Iterator[PreparedItem]:
    """A sample of images; their ids do not matter."""
    for index, image in enumerate(images):
        yield prepare_source(preparer, image, image_id=default_id(image, index), max_bytes=max_bytes)


def default_id(image: Input, index: int) -> str:
    """The path of an image that has one, else its position."""
    return storage.mask_secrets(str(image)) if isinstance(image, str | Path) else str(index)


def uri_of(image: Input) -> str:
    """Where an image comes from, "" where it is no path; a name that no store takes is given as it is."""
    if not isinstance(image, str | Path):
        return ""
    try:
        return storage.normalise(str(image))
    except StorageError:
        return storage.mask_secrets(str(image))
