"""Masks as PNG files whose pixel values are the class ids and whose palette makes them visible."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from inference_core.provenance import sha256_hex
from inference_core.records import Uint8Array, check_array
from inference_core.visualize.palette import class_palette

MAX_PART_BYTES = 240
"""Bytes of one name in a path; file systems take 255, and a temporary name needs some."""

FAST_COMPRESSION = 1
"""zlib level: masks are flat, so a higher level costs time and saves little."""


def encode_mask(mask: Uint8Array, *, num_classes: int) -> bytes:
    """A palette PNG; ``np.asarray(Image.open(...))`` gives the class ids back.

    Args:
        mask: (H, W) uint8 class ids, not modified.
        num_classes: how many there can be.
    """
    check_array("mask", mask, ndim=2, dtype=np.uint8)
    image = Image.fromarray(mask)
    image.putpalette(class_palette(num_classes))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=FAST_COMPRESSION)
    return buffer.getvalue()


def mask_name(image_id: str, *, folder: str = "masks", suffix: str = ".png") -> str:
    """Relative path of an image's mask, the same in every run and distinct for distinct ids.

    It is the id with the suffix added, so that a.jpg and a.png do not collide. What no file system takes (empty names,
    dots, NUL, names over its length) is written with ``%``, and ``%`` itself as ``%25``. So is the dot of a folder
    ``a.png``, which an image ``a`` beside it could not have as its mask.

    Args:
        image_id: of the image.
        folder: below the output.
        suffix: of the format, with its dot.
    """
    *folders, name = image_id.split("/")
    parts = [safe_part(part, suffix=suffix, is_folder=True) for part in folders]
    return "/".join([folder, *parts, safe_part(f"{name}{suffix}", suffix=suffix, is_folder=False)])


def safe_part(part: str, *, suffix: str, is_folder: bool) -> str:
    """One part of a path as it is where possible."""
    part = part.replace("%", "%25").replace("\0", "%00")
    if is_folder and suffix and part.lower().endswith(suffix):
        part = f"{part[: -len(suffix)]}%2E{part[1 - len(suffix) :]}"
    if part in ("", ".", ".."):
        return "%" + part.replace(".", "2E")
    if len(part.encode()) <= MAX_PART_BYTES:
        return part
    end = f"%~{sha256_hex(part.encode())[:16]}" + ("" if is_folder else suffix)
    return part.encode()[: MAX_PART_BYTES - len(end)].decode(errors="ignore") + end
