"""Decoding through Pillow, one plugin at a time.

The plugin for the sniffed format is called directly, not through ``Image.open``: no other plugin, with its
own bugs, ever sees the bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from inference_core.images.canvas_size import read_canvas
from inference_core.images.exif import read_orientation
from inference_core.images.flatten import flatten_to_rgb
from inference_core.images.limits import Limits
from inference_core.images.orientation import apply_orientation
from inference_core.images.policy import DecodePolicy
from inference_core.records import DecodedImage

_OPENERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "jpeg": JpegImagePlugin.jpeg_factory,
    "png": PngImagePlugin.PngImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}


def decode_with_pillow(
    data: bytes, format_name: str, *, policy: DecodePolicy, limits: Limits, num_pages: int | None = None
) -> DecodedImage:
    """Decode one page with the plugin of ``format_name``.

    Args:
        data: the whole file.
        format_name: a key of ``_OPENERS``, as sniffed.
        policy: what to do with orientation, alpha, CMYK, depth; the page.
        limits: checked on the header, and again on what the plugin makes of it.
        num_pages: pages in the file where the caller knows.

    Raises:
        InputError: a limit or the page. What the plugin raises goes through, for ``decoder_boundary``.
    """
    canvas = read_canvas(data, format_name, limits)
    if canvas:
        limits.check_size(width=canvas.width, height=canvas.height)
    with _OPENERS[format_name](io.BytesIO(data)) as image:
        if num_pages is None:
            num_pages = canvas.num_frames if canvas and format_name == "gif" else getattr(image, "n_frames", 1)
        limits.check_frames(num_pages)
        policy.check_page(num_pages)
        load_page(image, policy.page, limits)
        pixels = flatten_to_rgb(image, policy)
        orientation = orientation_of(image)
    return DecodedImage(
        pixels=apply_orientation(pixels, orientation) if policy.apply_orientation else pixels,
        format=format_name,
        decoder="pillow",
        orientation=orientation,
        page=policy.page,
        num_pages=num_pages,
    )


def load_page(image: Image.Image, page: int, limits: Limits) -> None:
    """Read the pixels of one page of an opened image; TooLargeError where it is over the limits."""
    if page:
        image.seek(page)
    limits.check_size(width=image.width, height=image.height)
    image.load()


def orientation_of(image: Image.Image) -> int:
    """EXIF (else XMP) orientation, 1 to 8, of a Pillow image; 1 where it has none or a broken one."""
    exif = image.info.get("exif")
    xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    packet = xmp.encode() if isinstance(xmp, str) else xmp
    return read_orientation(exif if isinstance(exif, bytes) else b"", packet if isinstance(packet, bytes) else b"")
