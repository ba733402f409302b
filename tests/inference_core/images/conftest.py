"""Small encodings that several test modules use."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def scene() -> Callable[[int, int], NDArray[np.uint8]]:
    """(H, W, 3) uint8: a gradient with noise, the same for the same size."""

    def build(height: int, width: int) -> NDArray[np.uint8]:
        noise = np.random.default_rng(7).integers(0, 60, (height, width, 3))
        ramp = np.add.outer(np.linspace(0, 130, height), np.linspace(0, 65, width))[:, :, None]
        return (noise + ramp).astype(np.uint8)

    return build


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Bytes of pixels in one of Pillow's formats."""

    def build(pixels: NDArray[Any] | Image.Image, format_name: str, *, mode: str = "", **options: Any) -> bytes:
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        buffer = io.BytesIO()
        (image.convert(mode) if mode else image).save(buffer, format_name, **options)
        return buffer.getvalue()

    return build
