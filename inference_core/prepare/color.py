"""Gray pixels for models of one input channel."""

from __future__ import annotations

import numpy as np
from PIL import Image

from inference_core.errors import ShapeError
from inference_core.records import Uint8Array, check_array


def to_gray(pixels: Uint8Array) -> Uint8Array:
    """Luminance of an image, to the bit what Pillow's ``convert("L")`` gives.

    Args:
        pixels: (H, W, 3) uint8 RGB, or (H, W, 1), which is returned as it is.

    Returns:
        (H, W, 1) uint8.

    Raises:
        ShapeError: pixels are not uint8 of one or three channels.

    Source: ITU-R BT.601-7, section 2.5.1: 0.299 R + 0.587 G + 0.114 B.
    """
    check_channels(pixels)
    if pixels.shape[2] == 1:
        return pixels
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None]


def check_channels(pixels: Uint8Array) -> None:
    """Raise ShapeError unless ``pixels`` is a non-empty (H, W, 1 or 3) uint8 array."""
    check_array("pixels", pixels, ndim=3, dtype=np.uint8)
    if pixels.shape[2] not in (1, 3) or pixels.size == 0:
        raise ShapeError(
            f"pixels must be (H, W, 1 or 3) with H, W >= 1, got {list(pixels.shape)}; convert to RGB or gray first"
        )
