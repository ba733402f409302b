"""JPEG: through OpenCV where that is proven to give Pillow's pixels bit for bit, else through Pillow.

Both libraries call libjpeg-turbo with the same settings; OpenCV is faster because it writes packed RGB at once.
They part where data is damaged (OpenCV hands out what it has, Pillow raises) and on CMYK. So the fast path takes
only files whose markers show a Huffman-coded 8-bit gray or three-component image that is whole to its end.
"""

from __future__ import annotations

from typing import Any, cast

import cv2
import numpy as np

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.jpeg_header import JpegHeader, has_whole_scans, read_jpeg_header
from inference_core.images.limits import Limits
from inference_core.images.orientation import apply_orientation
from inference_core.images.pillow_decoder import decode_with_pillow
from inference_core.images.policy import DecodePolicy
from inference_core.records import DecodedImage, Uint8Array

_FAST_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # Huffman-coded baseline, extended and progressive
_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def decode_jpeg(data: bytes, *, policy: DecodePolicy, limits: Limits) -> DecodedImage:
    """Decode a JPEG; page 1 and up are the further images of a multi-picture file.

    Raises:
        InputError: see ``decode_image``.
    """
    header = read_jpeg_header(data)
    _check_header(header, limits)
    policy.check_page(header.num_images)
    pixels = _decode_fast(data, header) if policy.page == 0 else None
    if pixels is None:
        return decode_with_pillow(data, "jpeg", policy=policy, limits=limits, num_pages=header.num_images)
    return DecodedImage(
        pixels=apply_orientation(pixels, header.orientation) if policy.apply_orientation else pixels,
        format="jpeg",
        decoder="opencv",
        orientation=header.orientation,
        num_pages=header.num_images,
    )


def _check_header(header: JpegHeader, limits: Limits) -> None:
    if header.bits != 8:
        raise UnsupportedError(f"jpeg must have 8 bits per sample, got {header.bits}; convert it")
    if not header.width or not header.height:
        size = f"{header.width}x{header.height}"
        raise DecodeError(f"jpeg must state its width and height, got {size}; replace the file")
    limits.check_size(width=header.width, height=header.height)
    limits.check_frames(header.num_images)


def _decode_fast(data: bytes, header: JpegHeader) -> Uint8Array | None:
    """(H, W, 3) uint8 RGB as stored; None where the result might differ from Pillow's."""
    is_known = header.is_regular and header.frame_marker in _FAST_FRAMES and header.num_components in (1, 3)
    if not has_whole_scans(data, header.scan_offset) or not is_known:
        return None
    try:
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS)
    except cv2.error:
        return None
    if pixels is None or pixels.shape != (header.height, header.width, 3):
        return None
    return cast(Uint8Array, pixels)
