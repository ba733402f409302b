"""Arrays as images: from memory, from NPY files, and what TIFF decoders hand out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.depth import scale_to_uint8
from inference_core.images.flatten import flatten_alpha
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy
from inference_core.records import DecodedImage, Uint8Array


def check_image_shape(shape: tuple[int, ...], limits: Limits) -> None:
    """Raise unless ``shape`` is an image: (H, W), or (H, W, C) with C of 1 gray, 3 RGB or 4 RGBA.

    Raises:
        UnsupportedError: another number of dimensions or channels.
        DecodeError: no pixels.
        TooLargeError: over the limits.
    """
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        raise UnsupportedError(
            f"array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), got {list(shape)}; move the channels last"
        )
    if 0 in shape:
        raise DecodeError(f"array must have pixels, got {list(shape)}; leave it out")
    limits.check_size(width=shape[1], height=shape[0])


def decode_array(array: NDArray[Any], *, policy: DecodePolicy, limits: Limits, format_name: str) -> DecodedImage:
    """An array as an image.

    Args:
        array: (H, W) or (H, W, 1) gray, (H, W, 3) RGB or (H, W, 4) RGBA; bool, unsigned or signed integer, or
            float, scaled as ``policy.depth`` says. Not modified.
        policy: ``page`` must be 0.
        limits: checked on the shape.
        format_name: what the record's ``format`` says.

    Raises:
        InputError: the shape, the type or the values are not an image.
    """
    check_image_shape(array.shape, limits)
    policy.check_page(1)
    return DecodedImage(pixels=array_to_rgb(array, policy), format=format_name, decoder="numpy")


def array_to_rgb(
    array: NDArray[Any], policy: DecodePolicy, *, bits: int | None = None, is_premultiplied: bool = False
) -> Uint8Array:
    """A gray, RGB or RGBA array as RGB.

    Args:
        array: as ``decode_array`` takes. Not modified.
        policy: ``depth`` and ``alpha`` are used.
        bits: see ``scale_to_uint8``.
        is_premultiplied: whether the colours of RGBA are multiplied by alpha.

    Returns:
        (H, W, 3) uint8; a copy only where something has to change.
    """
    values = scale_to_uint8(array, depth=policy.depth, bits=bits)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    if values.shape[2] == 4:
        mode, size = "RGBa" if is_premultiplied else "RGBA", (values.shape[1], values.shape[0])
        return flatten_alpha(Image.frombytes(mode, size, values.tobytes()), policy)
    return np.ascontiguousarray(values)
