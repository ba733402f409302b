"""The one door: every file of the collections ends as stated, in time and in little memory."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.io import imread

from inference_core.errors import DecodeError, InputError, TooLargeError
from inference_core.images.decode import decode_image
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy

pytestmark = pytest.mark.timeout(60)

HOSTILE = {
    "00r0_gray_l.jp2": "unsupported",
    "01r_00.pcx": "unsupported",
    "avif__hopper.heif": "unsupported",
    "bmp__b__badbitcount.bmp": "unsupported",
    "bmp__b__badpalettesize.bmp": "unsupported",
    "bmp__b__reallybig.bmp": "too_large",
    "bmp__g__rgb32bf.bmp": "unsupported",
    "bmp__q__pal8os2v2-16.bmp": "unsupported",
    "bmp__q__rgb16-231.bmp": "unsupported",
    "bmp__q__rgb24png.bmp": "unsupported",
    "bmp__q__rgba16-4444.bmp": "unsupported",
    "broken.png": "decode_error",
    "crash-0c7e0e8e11ce787078f00b5b0ca409a167f070e0.tif": "decode_error",
    "crash-1152ec2d1a1a71395b6f2ce6721c38924d025bf3.tif": "decode_error",
    "crash-2020-10-test.tif": "decode_error",
    "crash-465703f71a0f0094873a3e0e82c9f798161171b8.sgi": "unsupported",
    "crash-4fb027452e6988530aa5dabee76eecacb3b79f8a.j2k": "unsupported",
    "crash-63b1dffefc8c075ddc606c0a2f5fdc15ece78863.tif": "decode_error",
    "crash-6b7f2244da6d0ae297ee0754a424213444e92778.sgi": "unsupported",
    "crash-7d4c83eb92150fb8f1653a697703ae06ae7c4998.j2k": "unsupported",
    "crash-abcf1c97b8fe42a6c68f1fb0b978530c98d57ced.sgi": "unsupported",
    "crash-c1b2595b8b0b92cc5f38b6635e98e3a119ade807.sgi": "unsupported",
    "crash-d2c93af851d3ab9a19e34503626368b2ecde9c03.j2k": "unsupported",
    "crash-f46f5b2f43c370fe65706c11449f567ecc345e74.tif": "decode_error",
    "decompression_bomb.gif": "too_large",
    "expected_to_read.jp2": "unsupported",
    "hopper_webp.tif": "unsupported",
    "l2rgb_read.bmp": "too_large",
    "made_bitflips.jpg": "decode_error",
    "made_bomb_20000.png": "too_large",
    "made_empty.jpg": "decode_error",
    "made_html_error.jpg": "unsupported",
    "made_jpeg_named.png": "ok",
    "made_truncated_10.jpg": "decode_error",
    "made_truncated_50.jpg": "decode_error",
    "made_truncated_50.png": "decode_error",
    "made_truncated_95.jpg": "decode_error",
    "negative_size.ppm": "unsupported",
    "oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": "unsupported",
    "ossfuzz-5730089102868480.sgi": "unsupported",
    "png_decompression_dos.png": "decode_error",
    "seek_too_large.tif": "decode_error",
    "timeout-060745d3f534ad6e4128c51d336ea5489182c69d.blp": "unsupported",
    "timeout-52d106579505547091ef69b58341351a37c23e31.dds": "unsupported",
    "timeout-755a4d204f4208e3597ac3391edebee196462bd0.dds": "unsupported",
    "timeout-9139147ce93e20eb14088fe238e541443ffd64b3.fli": "unsupported",
    "timeout-bff0a9dc7243a8e6ede2408d2ffa6a9964698b87.fli": "unsupported",
    "timeout-d6ec061c4afdef39d3edf6da8927240bb07fe9b7.blp": "unsupported",
    "truncated_image.png": "decode_error",
    "ultrahdr.jpg": "decode_error",  # a cut file: the coded data ends before the end marker
    "unimplemented_dxgi_format.dds": "unsupported",
    "unimplemented_pixel_format.dds": "unsupported",
    "unknown_mode.j2k": "unsupported",
    "zero_height.j2k": "unsupported",
}

NEEDS_IMAGE_RANGE = {"10ct_32bit_128.tiff"}
"""Float values outside [0, 1]: unsupported by default."""

PLAIN = [
    "app13-multiple.jpg",
    "broken_exif_dpi.jpg",
    "chelsea.png",
    "exif_gps_typeerror.jpg",
    "flower.webp",
    "junk_jpeg_header.jpg",
    "made_1x1.png",
    "made_6000x4.jpg",
    "made_gray8.png",
    "made_progressive_444.jpg",
    "hopper_gray.jpg",
]
"""Files without a policy question, which any reader must read the same."""


def outcome(data: bytes, **policy: object) -> tuple[str, str]:
    """Status and message."""
    try:
        decode_image(data, policy=DecodePolicy(**policy))
    except InputError as error:
        return error.status, str(error)
    return "ok", ""


@pytest.mark.assets
def test_the_table_names_every_hostile_file(assets):
    assert {file.name for file in (assets / "hostile").iterdir()} == set(HOSTILE)


@pytest.mark.assets
@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_as_stated(assets, name):
    data = (assets / "hostile" / name).read_bytes()
    status, message = outcome(data)
    assert status == HOSTILE[name]
    assert (status, message) == outcome(data)
    assert re.search(r" at 0x|/tmp|/home|_io\.", message) is None
    assert bool(message) == (status != "ok")


@pytest.mark.assets
@pytest.mark.timeout(10)
def test_all_other_formats_decode(assets):
    for file in sorted((assets / "formats").iterdir()):
        status, message = outcome(file.read_bytes())
        assert status == ("unsupported" if file.name in NEEDS_IMAGE_RANGE else "ok"), f"{file.name}: {message}"
        assert outcome(file.read_bytes(), depth="image_range")[0] == "ok"


@pytest.mark.assets
@pytest.mark.parametrize("name", PLAIN)
def test_pixels_equal_an_independent_reader(assets, name):
    file = assets / "formats" / name
    expected = imread(file)
    expected = np.repeat(expected[..., None], 3, axis=2) if expected.ndim == 2 else expected[..., :3]
    np.testing.assert_array_equal(decode_image(file.read_bytes()).pixels, expected)


@pytest.mark.assets
def test_sixteen_bits_are_scaled_not_clipped(assets):
    file = assets / "formats" / "made_gray16.png"
    with Image.open(file) as image:
        values = np.asarray(image).astype(float)
    pixels = decode_image(file.read_bytes()).pixels
    assert abs(pixels.mean() - values.mean() / 257) < 0.01
    assert len(np.unique(pixels)) > 100


MEMORY_SCRIPT = """
    import resource, sys
    from pathlib import Path
    from inference_core.errors import InputError
    from inference_core.images import decode_image

    def peak_mib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    warm, files = sys.argv[1], sys.argv[2:]
    decode_image(Path(warm).read_bytes())
    base = peak_mib()
    for file in files:
        try:
            decode_image(Path(file).read_bytes())
        except InputError:
            pass
    print(peak_mib() - base)
"""


def peak_growth_mib(warm, files) -> float:
    """How much the peak memory of a fresh process grows by decoding files, after one harmless file."""
    command = [sys.executable, "-c", dedent(MEMORY_SCRIPT), str(warm), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Warning" not in done.stderr
    assert "Traceback" not in done.stderr
    return float(done.stdout)


@pytest.mark.assets
def test_hostile_files_take_little_memory_and_warn_of_nothing(assets):
    files = sorted((assets / "hostile").iterdir())
    assert peak_growth_mib(assets / "formats" / "made_rgb16.tif", files) < 64


def with_size(data: bytes, offset: int, layout: str, width: int, height: int) -> bytes:
    """A file whose header states another size."""
    sizes = (height, width) if offset < 0 else (width, height)
    start = data.index(b"\xff\xc0") + 5 if offset < 0 else offset
    return data[:start] + struct.pack(layout, *sizes) + data[start + struct.calcsize(layout) :]


def test_bombs_allocate_nothing(tmp_path, encode):
    small = {name: encode(Image.new("RGB", (8, 8)), name) for name in ("png", "gif", "bmp", "webp", "avif", "jpeg")}
    places = {
        "png": (16, ">LL"),
        "gif": (6, "<HH"),
        "bmp": (18, "<ll"),
        "webp": (26, "<HH"),
        "avif": (small["avif"].index(b"ispe") + 8, ">LL"),
        "jpeg": (-1, ">HH"),
    }
    bombs = {name: with_size(small[name], *places[name], 16_001, 16_000) for name in small}
    bombs["tiff"] = encode(Image.new("1", (16_001, 16_000)), "tiff", compression="group4")
    bombs["png-whole"] = encode(Image.new("1", (16_001, 16_000)), "png")
    (tmp_path / "harmless.png").write_bytes(small["png"])
    for name, data in bombs.items():
        with pytest.raises(TooLargeError, match="pixels of 16001x16000 must be at most 100000000"):
            decode_image(data)
        (tmp_path / name).write_bytes(data)
    assert peak_growth_mib(tmp_path / "harmless.png", [tmp_path / name for name in bombs]) < 16


def small_encodings() -> dict[str, bytes]:
    """One small file per format and variant."""
    rgb = Image.fromarray(np.random.default_rng(3).integers(0, 256, (12, 17, 3), dtype=np.uint8))
    deep = Image.fromarray(np.linspace(0, 65535, 12 * 17).astype(np.uint16).reshape(12, 17))
    variants = {
        "jpeg": (rgb, "JPEG", {}),
        "jpeg-progressive": (rgb, "JPEG", {"progressive": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
        "mpo": (rgb, "MPO", {"save_all": True, "append_images": [rgb]}),
        "png": (rgb, "PNG", {}),
        "png-palette": (rgb.quantize(8), "PNG", {"transparency": 0}),
        "png16": (deep, "PNG", {}),
        "apng": (rgb, "PNG", {"save_all": True, "append_images": [rgb.rotate(180)]}),
        "gif": (rgb, "GIF", {"save_all": True, "append_images": [rgb.rotate(180)]}),
        "bmp": (rgb, "BMP", {}),
        "webp": (rgb, "WEBP", {}),
        "webp-animated": (rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(180)]}),
        "avif": (rgb, "AVIF", {}),
        "tiff": (rgb, "TIFF", {}),
        "tiff-lzw": (rgb, "TIFF", {"compression": "tiff_lzw", "save_all": True, "append_images": [rgb]}),
        "tiff-jpeg": (rgb, "TIFF", {"compression": "jpeg"}),
        "tiff16": (deep, "TIFF", {"compression": "tiff_deflate"}),
    }
    encoded = {}
    for name, (image, format_name, options) in variants.items():
        buffer = io.BytesIO()
        image.save(buffer, format_name, **options)
        encoded[name] = buffer.getvalue()
    tifffile = pytest.importorskip("tifffile")
    for name, options in {"tiff-rgb16": {}, "tiff-rgb16-deflate": {"compression": "zlib", "tile": (16, 16)}}.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.full((12, 17, 3), 999, np.uint16), photometric="rgb", **options)
        encoded[name] = buffer.getvalue()
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 5, 3), np.uint8))
    encoded["npy"] = buffer.getvalue()
    return encoded


ENCODED = small_encodings()


@pytest.mark.parametrize("name", ENCODED)
def test_the_small_encodings_are_good(name):
    assert decode_image(ENCODED[name]).pixels.size


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("name", ENCODED)
@given(st.data())
def test_damaged_files_decode_or_are_input_errors(name, data):
    damaged = bytearray(ENCODED[name])
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(damaged)))
    page = data.draw(st.sampled_from([0, 0, 1]))
    limits = Limits(max_pixels=1_000_000)
    try:
        decoded = decode_image(bytes(damaged[:cut]), policy=DecodePolicy(page=page), limits=limits)
    except InputError as error:
        assert str(error)  # noqa: PT017 both outcomes are right
        return
    assert decoded.pixels.dtype == np.uint8
    assert np.prod(decoded.image_hw) <= limits.max_pixels


@given(st.binary(max_size=300), st.sampled_from(sorted(ENCODED)), st.integers(2, 30))
def test_random_bytes_are_input_errors(tail, name, num_head_bytes):
    for data in (tail, ENCODED[name][:num_head_bytes] + tail):
        with pytest.raises(InputError):
            decode_image(data)


def test_errors_carry_the_uri():
    with pytest.raises(DecodeError) as caught:
        decode_image(ENCODED["png"][:-40], uri="s3://bucket/a.png")
    assert caught.value.uri == "s3://bucket/a.png"


def test_threads_give_what_one_thread_gives():
    sequence = [name for name in ENCODED for _ in range(8)]
    expected = {name: decode_image(data).pixels for name, data in ENCODED.items()}
    with ThreadPoolExecutor(4) as pool:
        for name, decoded in zip(sequence, pool.map(lambda name: decode_image(ENCODED[name]), sequence), strict=True):
            np.testing.assert_array_equal(decoded.pixels, expected[name])


def test_importing_loads_nothing_heavy():
    heavy = ("tifffile", "torch", "ray", "scipy")
    script = f"import sys, inference_core.images; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
