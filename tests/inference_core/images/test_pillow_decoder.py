"""One plugin per format, pages, and checks before pixels."""

from __future__ import annotations

import io
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
from PIL import Image

from inference_core.errors import DecodeError, TooLargeError
from inference_core.images.decode import decode_image
from inference_core.images.limits import Limits
from inference_core.images.pillow_decoder import orientation_of
from inference_core.images.policy import DecodePolicy

COLORS = ["red", "lime", "blue"]


@pytest.mark.parametrize("name", ["png", "bmp", "gif", "webp", "avif"])
@pytest.mark.parametrize("hw", [(1, 1), (17, 30)], ids=str)
def test_pixels_equal_image_open(scene, encode, name, hw):
    data = encode(scene(*hw), name)
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB"))
    decoded = decode_image(data)
    assert (decoded.format, decoded.decoder, decoded.num_pages) == (name, "pillow", 1)
    np.testing.assert_array_equal(decoded.pixels, expected)


@pytest.mark.parametrize("name", ["gif", "webp", "avif", "png", "tiff"])
def test_frames_of_animations(encode, name):
    frames = [Image.new("RGB", (8, 6), color) for color in COLORS]
    options = (
        {"lossless": True} if name == "webp" else {"quality": 100, "subsampling": "4:4:4"} if name == "avif" else {}
    )
    data = encode(frames[0], name, save_all=True, append_images=frames[1:], **options)
    for page, frame in enumerate(frames):
        decoded = decode_image(data, policy=DecodePolicy(page=page))
        assert (decoded.page, decoded.num_pages) == (page, 3)
        assert np.abs(decoded.pixels.astype(int) - np.asarray(frame)).max() <= 3
    with pytest.raises(DecodeError, match="page must be less than 3, got 3; this image has 3"):
        decode_image(data, policy=DecodePolicy(page=3))
    with pytest.raises(TooLargeError, match="number of frames must be at most 2, got 3; raise max_frames"):
        decode_image(data, limits=Limits(max_frames=2))


@pytest.mark.parametrize("name", ["png", "bmp", "gif", "webp", "avif", "jpeg", "tiff"])
def test_limits_hold_for_every_format(scene, encode, name):
    data = encode(scene(20, 30), name)
    assert decode_image(data, limits=Limits(max_pixels=600, max_side_px=30, max_bytes=len(data))).image_hw == (20, 30)
    for limits in (Limits(max_pixels=599), Limits(max_side_px=29), Limits(max_bytes=len(data) - 1)):
        with pytest.raises(TooLargeError, match="must be at most"):
            decode_image(data, limits=limits)


@pytest.mark.parametrize("name", ["png", "webp", "avif", "tiff"])
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_orientation_of_other_formats(scene, encode, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if name == "webp" else {}
    data = encode(scene(10, 20), name, exif=exif, **options)
    decoded = decode_image(data)
    assert decoded.orientation == orientation
    assert decoded.image_hw == ((10, 20) if orientation == 1 else (20, 10))
    stored = decode_image(data, policy=DecodePolicy(apply_orientation=False))
    assert (stored.image_hw, stored.orientation) == ((10, 20), orientation)
    if name != "avif":
        np.testing.assert_array_equal(stored.pixels, scene(10, 20))


@pytest.mark.parametrize(
    "info", [{}, {"exif": b"junk"}, {"exif": 5}, {"xmp": 5}, {"XML:com.adobe.xmp": "no"}], ids=repr
)
def test_images_without_a_valid_orientation(info):
    image = Image.new("RGB", (1, 1))
    image.info.update(info)
    assert orientation_of(image) == 1


def test_png_of_16_bits_is_scaled():
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "png")
    expected = np.rint(values / 257)
    np.testing.assert_array_equal(decode_image(buffer.getvalue()).pixels[..., 1], expected)


def test_no_other_plugin_is_loaded_or_asked():
    script = """
        import io, sys
        from PIL import Image
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4)).save(buffer, "PNG")
        from inference_core.images import decode_image
        decode_image(buffer.getvalue())
        print(sorted(name for name in sys.modules if name.startswith("PIL.") and name.endswith("ImagePlugin")))
    """
    listed = subprocess.run([sys.executable, "-c", dedent(script)], capture_output=True, text=True, check=True).stdout
    assert "PngImagePlugin" in listed
    for hostile in ("Blp", "Dds", "Eps", "Fli", "Jpeg2K", "Pcx", "Psd", "Sgi", "Icns"):
        assert hostile not in listed
