"""What a listing knows of one image: where its bytes lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRef:
    """One image to predict: an object, or a part of one."""

    image_id: str
    """Stable key: for a folder the path below it, with the input's own name before it where there are several."""
    uri: str
    """The object that holds the image."""
    size_bytes: int
    """Encoded bytes of the image; of a frame or a page those of the whole file."""
    etag: str
    """Changes with the object's content; "" where the storage has none."""
    offset_bytes: int | None = None
    """Where the image's bytes begin, if it is a part of the object as it is: a member of a tar file."""
    row: int | None = None
    """Row of a Parquet file whose cells hold encoded images."""
    page: int | None = None
    """Page of a multi-page TIFF, from 0."""
    frame_index: int | None = None
    """Frame of a video, from 0."""
    time_s: float | None = None
    """Time of the frame since the start of the video."""
