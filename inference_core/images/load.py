"""An image from wherever it is: bytes, a path or URI, an array, a Pillow image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference_core.errors import FetchError, InputError, StorageError
from inference_core.images.array_pixels import decode_array
from inference_core.images.boundary import decoder_boundary
from inference_core.images.decode import decode_image
from inference_core.images.flatten import flatten_to_rgb
from inference_core.images.limits import Limits
from inference_core.images.orientation import apply_orientation
from inference_core.images.pillow_decoder import load_page, orientation_of
from inference_core.images.policy import DecodePolicy
from inference_core.records import DecodedImage
from inference_core.storage import read_bytes

ImageSource = bytes | str | Path | NDArray[Any] | Image.Image

_DEFAULT_POLICY = DecodePolicy()
_DEFAULT_LIMITS = Limits()


def load_image(
    source: ImageSource, *, policy: DecodePolicy = _DEFAULT_POLICY, limits: Limits = _DEFAULT_LIMITS, uri: str = ""
) -> DecodedImage:
    """Load one image.

    Args:
        source: encoded bytes; a path or URI; an array as ``decode_array`` takes; or a Pillow image, whose current
            frame is used. Not modified.
        policy: what to do with orientation, alpha, CMYK and depth; the page, which for arrays and Pillow images
            must be 0.
        limits: largest input.
        uri: carried by errors; a path or URI names itself.

    Raises:
        FetchError: the path or URI could not be read.
        InputError: see ``decode_image``.
        TypeError: ``source`` is of another type.
    """
    if isinstance(source, bytes):
        return decode_image(source, policy=policy, limits=limits, uri=uri)
    if isinstance(source, str | Path):
        uri = str(source)
        return decode_image(_fetch(uri, limits), policy=policy, limits=limits, uri=uri)
    try:
        with decoder_boundary("image"):
            if isinstance(source, np.ndarray):
                return decode_array(source, policy=policy, limits=limits, format_name="array")
            if isinstance(source, Image.Image):
                return _decode_pillow_image(source, policy, limits)
    except InputError as error:
        error.uri = error.uri or uri
        raise
    raise TypeError(
        f"source must be bytes, str, Path, numpy array or PIL image, got {type(source).__name__}; convert it first"
    )


def _fetch(uri: str, limits: Limits) -> bytes:
    try:
        return read_bytes(uri, max_bytes=limits.max_bytes)
    except StorageError as error:
        raise FetchError(str(error), uri=uri) from error


def _decode_pillow_image(image: Image.Image, policy: DecodePolicy, limits: Limits) -> DecodedImage:
    policy.check_page(1)
    load_page(image, 0, limits)
    orientation = orientation_of(image)
    pixels = flatten_to_rgb(image, policy)
    return DecodedImage(
        pixels=apply_orientation(pixels, orientation) if policy.apply_orientation else pixels,
        format="array",
        decoder="pillow",
        orientation=orientation,
    )
