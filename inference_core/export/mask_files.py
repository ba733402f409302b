"""Masks and score maps as files of several formats, and how they are read back."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from inference_core.errors import InputError, JobError
from inference_core.export.masks import FAST_COMPRESSION, encode_mask
from inference_core.export.tiff_files import encode_tiff, read_tiff
from inference_core.images.boundary import decoder_boundary
from inference_core.items import Prediction
from inference_core.records import GeoTag, Uint8Array, check_array
from inference_core.results import Segmentation

MaskFormat = Literal["png", "png16", "npy", "tiff", "rle", "none"]
MaskChoice = Literal["png", "png16", "npy", "tiff", "rle", "none", "auto"]
MapFormat = Literal["npy", "tiff"]
MapKind = Literal["none", "uint8", "float16"]

SUFFIXES: Mapping[str, str] = MappingProxyType({"png": ".png", "png16": ".png", "npy": ".npy", "tiff": ".tif"})
"""Of the formats that are files."""
NPY_START, TIFF_STARTS = b"\x93NUMPY", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneOutput:
    """What a run keeps of the pixels of its answers."""

    masks: MaskFormat = "png"
    """``rle``: run lengths in the rows, and no files."""
    maps: MapKind = "none"
    """Scores of the pixels."""
    map_format: MapFormat = "npy"

    @property
    def has_mask_files(self) -> bool:
        """Whether segmentation masks are files."""
        return self.masks in SUFFIXES

    @property
    def has_runs(self) -> bool:
        """Whether segmentation masks stand in the rows."""
        return self.masks == "rle"

    @property
    def has_maps(self) -> bool:
        """Whether score maps are files."""
        return self.maps != "none"


def encode_planes(prediction: Prediction, planes: PlaneOutput, *, num_classes: int) -> dict[str, bytes]:
    """The files of a prediction's pixels, by the column that holds their path; only segmentations have any.

    Args:
        prediction: of one image.
        planes: what is kept.
        num_classes: of the model.
    """
    result, geo_tags = prediction.result, prediction.source.geo_tags
    files: dict[str, bytes] = {}
    if not isinstance(result, Segmentation):
        return files
    if planes.has_mask_files:
        files["mask_path"] = encode_mask_file(
            result.mask, mask_format=planes.masks, num_classes=num_classes, geo_tags=geo_tags
        )
    if planes.has_maps:
        files["map_path"] = encode_map(result.scores, kind=planes.maps, map_format=planes.map_format, geo_tags=geo_tags)
    return files


def encode_mask_file(
    mask: Uint8Array, *, mask_format: MaskFormat, num_classes: int, geo_tags: Sequence[GeoTag] = ()
) -> bytes:
    """A mask as a file that gives the class ids back.

    Args:
        mask: (H, W) uint8 class ids, not modified.
        mask_format: one of SUFFIXES.
        num_classes: how many there can be.
        geo_tags: of the image; kept by TIFF alone.

    Raises:
        ShapeError: it is no such array.
    """
    check_array("mask", mask, ndim=2, dtype=np.uint8)
    if mask_format == "png16":
        return encode_png16(mask)
    if mask_format == "npy":
        return encode_npy(mask)
    if mask_format == "tiff":
        return encode_tiff(mask, geo_tags=geo_tags)
    return encode_mask(mask, num_classes=num_classes)


def encode_map(scores: Uint8Array, *, kind: MapKind, map_format: MapFormat, geo_tags: Sequence[GeoTag] = ()) -> bytes:
    """A score map as a file.

    Args:
        scores: (H, W) uint8, scores times 255, not modified.
        kind: ``uint8`` keeps them so; ``float16`` has them from 0 to 1, in the same 256 steps.
        map_format: of the file.
        geo_tags: of the image; kept by TIFF alone.
    """
    check_array("scores", scores, ndim=2, dtype=np.uint8)
    plane = (scores / np.float32(255)).astype(np.float16) if kind == "float16" else scores
    return encode_tiff(plane, geo_tags=geo_tags) if map_format == "tiff" else encode_npy(plane)


def encode_png16(mask: Uint8Array) -> bytes:
    """A gray PNG of 16 bits."""
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint16)).save(buffer, format="PNG", compress_level=FAST_COMPRESSION)
    return buffer.getvalue()


def encode_npy(plane: NDArray[Any]) -> bytes:
    """An array in NumPy's own format."""
    buffer = io.BytesIO()
    np.save(buffer, plane, allow_pickle=False)
    return buffer.getvalue()


def read_plane(data: bytes, *, origin: str) -> NDArray[Any]:
    """The (H, W) values of a mask or map, as any of the formats keeps them.

    Args:
        data: content of the file.
        origin: named by errors.

    Raises:
        JobError: it is none of them, or damaged.
    """
    try:
        with decoder_boundary("mask"):
            plane = parse_plane(data)
    except InputError as exc:
        raise JobError(f"{origin} must be a mask, got a damaged file ({exc}); restore it") from exc
    if plane.ndim != 2:
        raise JobError(f"{origin} must be a mask of one channel, got shape {list(plane.shape)}; restore the file")
    return plane


def parse_plane(data: bytes) -> NDArray[Any]:
    """The values of a file, told by its first bytes."""
    if data.startswith(NPY_START):
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    if data.startswith(TIFF_STARTS):
        return read_tiff(data)
    # Not Image.open, which refuses 179 million pixels and more: a run may be told to take such images.
    with PngImageFile(io.BytesIO(data)) as image:
        return np.asarray(image)
