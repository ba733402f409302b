"""Header sizes equal Pillow's, for every frame, without decoding."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference_core.errors import TooLargeError
from inference_core.images.canvas_size import Canvas, read_canvas
from inference_core.images.limits import Limits

FORMATS = ["png", "gif", "bmp", "webp", "avif"]


@pytest.mark.parametrize("hw", [(1, 1), (3, 257), (300, 2)], ids=str)
@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in FORMATS] + [("webp", {"lossless": True}), ("webp", {"exif": b"Exif\0\0II*\0\0\0\0\0"})],
    ids=[*FORMATS, "webp-lossless", "webp-extended"],
)
def test_sizes_of_real_files(scene, encode, name, options, hw):
    canvas = read_canvas(encode(scene(*hw), name, **options), name, Limits())
    assert canvas == Canvas(width=hw[1], height=hw[0])


def test_bmp_of_os2_and_top_down_bmp():
    os2 = b"BM" + bytes(12) + (12).to_bytes(4, "little") + b"\x05\0\x07\0"
    assert read_canvas(os2, "bmp", Limits()) == Canvas(width=5, height=7)
    top_down = b"BM" + bytes(12) + (40).to_bytes(4, "little") + b"\x05\0\0\0" + (-7).to_bytes(4, "little", signed=True)
    assert read_canvas(top_down, "bmp", Limits()) == Canvas(width=5, height=7)


@pytest.mark.assets
@pytest.mark.parametrize("name", ["newtonscradle.gif"])
def test_frames_of_a_gif_equal_pillows(assets, name):
    data = (assets / "formats" / name).read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        expected = Canvas(width=image.width, height=image.height, num_frames=image.n_frames)
    assert read_canvas(data, "gif", Limits()) == expected
    with pytest.raises(TooLargeError, match="number of frames must be at most 35, got 36"):
        read_canvas(data, "gif", Limits(max_frames=35))


def test_a_gif_frame_outside_the_screen_enlarges_the_canvas():
    data = b"GIF89a\x02\0\x02\0\0\0\0" + b"\x2c\x0a\0\x14\0\x05\0\x05\0\0" + b"\x02\x01\0\0" + b";"
    assert read_canvas(data, "gif", Limits()) == Canvas(width=15, height=25)


@given(st.sampled_from(FORMATS), st.binary(max_size=80))
def test_any_bytes_give_a_canvas_or_none(name, data):
    head = {"gif": b"GIF89a", "bmp": b"BM", "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"}.get(name, b"")
    canvas = read_canvas(head + data, name, Limits())
    assert canvas is None or canvas.num_frames >= 1
