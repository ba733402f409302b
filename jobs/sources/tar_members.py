"""Images inside tar files (WebDataset shards): listed by their headers, read by their place."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from inference_core import storage
from inference_core.errors import ConfigError
from jobs.sources.image_ref import ImageRef

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".mpo", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff"),
    *(".jp2", ".ppm", ".pgm", ".pbm", ".ico", ".npy"),
)
"""What counts as an image among a sample's parts; the others are labels and notes, and are left out."""


def list_tar(found: storage.ObjectInfo, *, prefix: str) -> Iterator[ImageRef | None]:
    """The members of a tar file, in its order.

    Args:
        found: the file.
        prefix: what ids begin with.

    Yields:
        Each image; None for each member that is none.

    Raises:
        ConfigError: the file is no plain tar file.

    Cost: reads the headers; from an object store, where members are small, most of the file.
    """
    with storage.open_for_read(found.uri) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                for member in archive:
                    if not member.isfile():
                        continue
                    is_image = PurePosixPath(member.name).suffix.lower() in IMAGE_ENDINGS
                    yield (
                        ImageRef(
                            image_id=storage.escape_name(f"{prefix}{found.path}/{member.name.removeprefix('./')}"),
                            uri=found.uri,
                            size_bytes=member.size,
                            etag=found.etag,
                            offset_bytes=member.offset_data,
                        )
                        if is_image
                        else None
                    )
                    archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header
        except tarfile.TarError as exc:
            raise ConfigError(
                f"must be a plain tar file, got {found.uri} ({exc}); unpack a compressed one, or leave it out with "
                "exclude",
                key="input",
            ) from exc
