"""The fast path gives Pillow's pixels bit for bit, or steps aside."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from inference_core.errors import DecodeError, InputError, TooLargeError, UnsupportedError
from inference_core.images.decode import decode_image
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy


def pillow_pixels(data: bytes, *, upright: bool = False) -> np.ndarray | None:
    """Pillow's answer, None where it raises."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            image.load()
            return np.asarray((ImageOps.exif_transpose(image) if upright else image).convert("RGB"))
    except Exception:  # noqa: BLE001 the oracle raises anything
        return None


def our_pixels(data: bytes) -> tuple[np.ndarray | None, str]:
    try:
        decoded = decode_image(data, policy=DecodePolicy(apply_orientation=False, cmyk="naive"))
    except InputError:
        return None, ""
    return decoded.pixels, decoded.decoder


def assert_same(ours: np.ndarray | None, theirs: np.ndarray | None) -> None:
    assert (ours is None) == (theirs is None)
    if ours is not None:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("quality", [30, 95])
@pytest.mark.parametrize("hw", [(1, 1), (7, 9), (16, 33), (65, 120)], ids=str)
@pytest.mark.parametrize("restart_blocks", [0, 1])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kind", ["444", "422", "420", "gray", "rgb"])
def test_every_encoding_is_fast_and_equal(scene, encode, kind, progressive, restart_blocks, hw, quality):
    options = {
        "mode": "L" if kind == "gray" else "RGB",
        "keep_rgb": kind == "rgb",
        "subsampling": {"422": 1, "420": 2}.get(kind, 0),
    }
    data = encode(
        scene(*hw),
        "JPEG",
        quality=quality,
        progressive=progressive,
        restart_marker_blocks=restart_blocks,
        **options,
    )
    pixels, decoder = our_pixels(data)
    assert decoder == "opencv"
    assert_same(pixels, pillow_pixels(data))


@pytest.mark.assets
def test_every_jpeg_of_the_assets_is_equal(assets):
    files = [file for file in sorted(assets.rglob("*")) if file.is_file() and file.read_bytes()[:3] == b"\xff\xd8\xff"]
    decoders = set()
    for file in files:
        data = file.read_bytes()
        pixels, decoder = our_pixels(data)
        assert_same(pixels, pillow_pixels(data))
        decoders.add(decoder)
    assert len(files) > 400
    assert decoders == {"opencv", "pillow", ""}


@pytest.mark.assets
@pytest.mark.parametrize("name", ["formats/hopper_orientation_*.jpg", "exif/Landscape_*.jpg"])
def test_photographs_come_upright(assets, name):
    files = sorted(assets.glob(name))
    assert len(files) >= 4
    for file in files:
        decoded = decode_image(file.read_bytes())
        assert decoded.decoder == "opencv"
        assert decoded.orientation == int(Path(file).stem.rsplit("_", 1)[1])
        np.testing.assert_array_equal(decoded.pixels, pillow_pixels(file.read_bytes(), upright=True))


def test_orientation_can_be_left(scene, encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(scene(10, 20), "JPEG", exif=exif)
    assert decode_image(data).image_hw == (20, 10)
    assert decode_image(data, policy=DecodePolicy(apply_orientation=False)).image_hw == (10, 20)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_is_judged_as_pillow_judges_it(scene, encode, data):
    options = data.draw(
        st.sampled_from(
            [{}, {"progressive": True}, {"mode": "L"}, {"restart_marker_blocks": 1}, {"subsampling": 0, "quality": 95}]
        )
    )
    damaged = bytearray(encode(scene(24, 40), "JPEG", **options))
    for _ in range(data.draw(st.integers(0, 4))):
        position = data.draw(st.integers(3, len(damaged) - 1))
        damaged[position] ^= 1 << data.draw(st.integers(0, 7))
    cut = data.draw(st.integers(3, len(damaged)))
    ending = data.draw(st.sampled_from([b"", b"\xff\xd9"]))
    damaged = bytes(damaged[:cut] + ending) if data.draw(st.booleans()) else bytes(damaged)
    assert_same(our_pixels(damaged)[0], pillow_pixels(damaged))


def test_every_cut_of_a_file_is_an_error(scene, encode):
    whole = encode(scene(16, 24), "JPEG")
    for end in range(3, len(whole)):
        with pytest.raises(DecodeError, match="jpeg must"):
            decode_image(whole[:end])


def test_cmyk_goes_to_pillow(scene, encode):
    assert decode_image(encode(scene(8, 8), "JPEG", mode="CMYK")).decoder == "pillow"


def test_frames_of_a_multi_picture_file(scene, encode):
    first, second = Image.fromarray(scene(8, 8)), Image.new("RGB", (8, 8), "red")
    data = encode(first, "MPO", save_all=True, append_images=[second])
    pages = [decode_image(data, policy=DecodePolicy(page=page)) for page in (0, 1)]
    assert [(page.decoder, page.page, page.num_pages) for page in pages] == [("opencv", 0, 2), ("pillow", 1, 2)]
    assert abs(pages[1].pixels.astype(int) - [255, 0, 0]).max() <= 2
    with pytest.raises(DecodeError, match="page must be less than 2, got 2; this image has 2"):
        decode_image(data, policy=DecodePolicy(page=2))
    with pytest.raises(TooLargeError, match="number of frames must be at most 1, got 2"):
        decode_image(data, limits=Limits(max_frames=1))


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (b"\x0c\0\x08\0\x08", UnsupportedError, "jpeg must have 8 bits per sample, got 12"),
        (b"\x08\0\0\0\x08", DecodeError, "jpeg must state its width and height, got 8x0"),
        (b"\x08\xff\xff\xff\xff", TooLargeError, "pixels of 65535x65535 must be at most"),
    ],
    ids=["12-bit", "no-height", "bomb"],
)
def test_frame_headers_that_are_refused(scene, encode, frame, error, message):
    data = encode(scene(8, 8), "JPEG")
    start = data.index(b"\xff\xc0") + 4
    with pytest.raises(error, match=message):
        decode_image(data[:start] + frame + data[start + 5 :])
