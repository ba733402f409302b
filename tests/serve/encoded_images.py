"""Small pictures as a client would send them."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from inference_core.records import Uint8Array


def encode_image(pixels: Uint8Array) -> bytes:
    """(H, W, 3) uint8 as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def image_bytes(seed: int = 0, *, side_px: int = 24) -> bytes:
    """A PNG that no other seed gives."""
    return encode_image(np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8))
