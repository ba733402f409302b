"""Records of an image on its way into a model: decoded, placed, prepared; and what all records share.

All are frozen. Arrays in them are to be treated as read-only. ``repr`` shows shapes, never pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.errors import ShapeError
from inference_core.safe_text import visible_text

Uint8Array = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
Int32Array = NDArray[np.int32]


MAX_SHOWN_NUMBERS = 16
"""Of an array in a notebook; a longer one shows its shape."""


class ArrayRecord:
    """Gives frozen dataclasses a ``repr`` that prints arrays as ``uint8[480, 640, 3]``."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = (f"{f.name}={describe_value(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """The fields as a table, as notebooks show them."""
        cells = (f"<tr><th>{f.name}</th><td>{html_of(getattr(self, f.name))}</td></tr>" for f in fields(self))  # type: ignore[arg-type]
        return f"<table><caption>{type(self).__name__}</caption>{''.join(cells)}</table>"


def describe_value(value: Any) -> str:
    """A short text for a value: dtype and shape for an array, a count for a long sequence, else its repr."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, tuple | list) and len(value) > 8:
        return f"{type(value).__name__} of {len(value)}"
    return repr(value)


def html_of(value: Any) -> str:
    """A value in a cell of a page: records as tables, short arrays as their numbers; texts are harmless."""
    if isinstance(value, ArrayRecord):
        return value._repr_html_()
    is_short = isinstance(value, np.ndarray) and value.size <= MAX_SHOWN_NUMBERS
    text = str(value.round(4).tolist()) if is_short else describe_value(value)
    return escape(visible_text(text))


def check_array(name: str, array: NDArray[Any], *, ndim: int, dtype: type[np.generic]) -> None:
    """Raise ShapeError unless ``array`` has ``ndim`` dimensions and exactly ``dtype``."""
    if array.ndim != ndim or array.dtype != np.dtype(dtype):
        raise ShapeError(f"{name} must be a {ndim}-D {np.dtype(dtype)} array, got {array.dtype}{list(array.shape)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoTag:
    """A tag of a GeoTIFF that says where on Earth its pixels lie."""

    code: int
    kind: int
    """Type of the values, as TIFF numbers them."""
    values: tuple[float, ...] | str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DecodedImage(ArrayRecord):
    """One image as pixels, policies applied."""

    pixels: Uint8Array
    """(H, W, 3) uint8 RGB, upright (EXIF orientation applied), H and W at least 1."""
    format: str
    """What the signature says: jpeg, png, tiff, webp, bmp, gif, npy, avif, array."""
    decoder: str
    """The library that decoded: opencv, pillow, tifffile or numpy."""
    orientation: int = 1
    """EXIF orientation found in the file, 1 to 8; 1 where there was none."""
    page: int = 0
    """The page or frame that was read, from 0."""
    num_pages: int = 1
    """Pages or frames in the file."""
    geo_tags: tuple[GeoTag, ...] = ()
    """Of a GeoTIFF whose pixels lie as they are stored."""

    def __post_init__(self) -> None:
        check_array("pixels", self.pixels, ndim=3, dtype=np.uint8)
        if self.pixels.shape[2] != 3 or 0 in self.pixels.shape:
            raise ShapeError(f"pixels must be (H, W, 3) with H, W >= 1, got {list(self.pixels.shape)}")

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an image lies in the model's input: one affine map and a grid of tiles.

    The image is scaled to ``scaled_hw``, put with its top left corner at ``offset_yx`` of a canvas of
    ``canvas_hw`` pixels (a negative offset means cropped, the rest is padding), and the canvas is cut into
    windows of ``tile_hw`` whose top left corners are ``tile_origins_yx``.
    In continuous coordinates (pixel centres at .5): ``canvas = image * scaled / image_size + offset``.
    """

    image_hw: tuple[int, int]
    """Size of the decoded image."""
    scaled_hw: tuple[int, int]
    """Size of the whole image after scaling."""
    canvas_hw: tuple[int, int]
    """Size of the canvas that the tiles cover."""
    offset_yx: tuple[int, int]
    """Canvas position of the scaled image's top left corner; negative where it was cropped."""
    tile_hw: tuple[int, int]
    """Size of one tile, which is the model's input size."""
    tile_origins_yx: tuple[tuple[int, int], ...]
    """Top left corner of each tile in the canvas, row by row."""

    @property
    def num_tiles(self) -> int:
        """How many tiles the image became."""
        return len(self.tile_origins_yx)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Prepared(ArrayRecord):
    """One image ready for the model: uint8 tiles, not normalised, and where they lie."""

    tiles: Uint8Array
    """(T, h, w, C) uint8; C is 3, or 1 for a model of gray input."""
    placement: Placement

    def __post_init__(self) -> None:
        check_array("tiles", self.tiles, ndim=4, dtype=np.uint8)
        expected = (self.placement.num_tiles, *self.placement.tile_hw)
        if self.tiles.shape[:3] != expected or self.tiles.shape[3] not in (1, 3):
            raise ShapeError(
                f"tiles must be (T, h, w, 1 or 3) with (T, h, w) = {expected}, got {list(self.tiles.shape)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLook:
    """How a decoded image looks as a whole."""

    brightness: float
    """Mean luminance, 0 is black and 1 is white."""
    contrast: float
    """Standard deviation of the luminance, 0 to 0.5."""
    sharpness: float
    """Variance of the luminance's Laplacian, in squared steps of 255; blur lowers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """What is known of one input before its pixels: filled as far as the image got."""

    image_id: str
    """Stable key, unique in a run: for a folder, the path below it."""
    uri: str = ""
    """Where the bytes came from, "" for arrays and bytes."""
    size_bytes: int = 0
    """Bytes read."""
    sha256: str = ""
    """Hex digest of the bytes, "" where none were read."""
    format: str = ""
    decoder: str = ""
    orientation: int = 1
    page: int = 0
    num_pages: int = 0
    image_hw: tuple[int, int] = (0, 0)
    frame_index: int | None = None
    """Which frame of a video, from 0; None for an image of its own."""
    time_s: float | None = None
    """Time of that frame since the start of the video."""
    geo_tags: tuple[GeoTag, ...] = ()
    """Of a GeoTIFF."""
    look: ImageLook | None = None
    """None where the package does not ask for it, or nothing was decoded."""
