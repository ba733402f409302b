"""Small images that tests draw themselves, good and bad ones."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

BAD_FILES = {
    "empty.jpg": b"",
    "no image.txt": b"just text\n",
    "truncated.png": b"",  # filled by draw_folder from a good one
}
"""Files that become rows without a result."""


def png_bytes(index: int, *, image_hw: tuple[int, int] = (20, 24)) -> bytes:
    """A PNG with a colour and noise of its own."""
    random = np.random.default_rng(index)
    pixels = random.integers(0, 60, (*image_hw, 3), dtype=np.uint8)
    pixels[..., index % 3] += np.uint8(120 + index % 70)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def draw_folder(folder: Path, count: int, *, image_hw: tuple[int, int] = (20, 24), with_bad: bool = False) -> Path:
    """Write ``count`` images, some in folders below, and where asked the BAD_FILES among them."""
    for index in range(count):
        name = f"deep/er/{index:04d}.png" if index % 5 == 4 else f"{index:04d}.png"
        write(folder / name, png_bytes(index, image_hw=image_hw))
    if with_bad:
        for name, content in BAD_FILES.items():
            write(folder / name, content or (png_bytes(0)[:90] if name.endswith(".png") else b""))
    return folder


def write(path: Path, content: bytes) -> None:
    """Write a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
