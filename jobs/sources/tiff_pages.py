"""Pages of multi-page TIFF files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import tifffile

from inference_core import storage
from inference_core.errors import StorageError
from jobs.sources.image_ref import ImageRef

TIFF_ENDINGS = (".tif", ".tiff")


def list_pages(file_ref: ImageRef) -> Iterator[ImageRef]:
    """The pages of a TIFF file; the file itself where it has one, or cannot be read: its row then says why.

    Cost: reads the headers of all pages.
    """
    num_pages = count_pages(file_ref.uri)
    if num_pages < 2:
        yield file_ref
        return
    for page in range(num_pages):
        yield replace(file_ref, image_id=f"{file_ref.image_id}/page-{page:04d}", page=page)


def count_pages(uri: str) -> int:
    """Pages of a TIFF file, 0 where it cannot be read."""
    try:
        with storage.open_for_read(uri) as file, tifffile.TiffFile(file) as tiff:
            return len(tiff.pages)
    except (StorageError, OSError, tifffile.TiffFileError, ValueError, ArithmeticError, LookupError):
        return 0
