"""Every kind of TIFF gives the pixels that an independent reading gives."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.decode import decode_image
from inference_core.images.policy import DecodePolicy


def written(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def ramp(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Values over the whole range of a type; floats over [0, 1]."""
    unit = np.linspace(0, 1, int(np.prod(shape))).reshape(shape)
    return unit.astype(dtype) if dtype[-2] == "f" else np.rint(unit * np.iinfo(dtype).max).astype(dtype)


def expected_rgb(array: np.ndarray) -> np.ndarray:
    """8-bit RGB of a gray or RGB array, by exact scaling."""
    top = np.iinfo(array.dtype).max if array.dtype.kind == "u" else 1
    scaled = np.rint(array.astype(np.float64) / top * 255).astype(np.uint8)
    return scaled if array.ndim == 3 else np.repeat(scaled[..., None], 3, axis=2)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}, {"tile": (16, 32)}, {"rowsperstrip": 3}],
    ids=["plain", "deflate", "predictor", "tiled", "strips"],
)
@pytest.mark.parametrize(
    ("shape", "dtype", "decoder"),
    [
        ((20, 30), "u1", "pillow"),
        ((20, 30, 3), "u1", "pillow"),
        ((20, 30), "u2", "pillow"),
        ((20, 30), "u4", "tifffile"),
        ((20, 30), "f4", "tifffile"),
        ((20, 30), "f2", "tifffile"),
        ((20, 30), "f8", "tifffile"),
        ((20, 30, 3), "u2", "tifffile"),
        ((20, 30, 3), "u4", "tifffile"),
        ((20, 30, 3), "f4", "tifffile"),
    ],
)
def test_number_types_and_layouts(shape, dtype, decoder, options, byteorder):
    array = ramp(shape, "<" + dtype)
    if "predictor" in options and "f" in dtype:
        options = {"compression": "zlib"}
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    decoded = decode_image(written(array, photometric=photometric, byteorder=byteorder, **options))
    assert (decoded.format, decoded.decoder) == ("tiff", decoder)
    np.testing.assert_array_equal(decoded.pixels, expected_rgb(array))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_planar_pages(dtype):
    array = ramp((3, 20, 30), "<" + dtype)
    decoded = decode_image(written(array, photometric="rgb", planarconfig="separate"))
    np.testing.assert_array_equal(decoded.pixels, expected_rgb(np.moveaxis(array, 0, -1)))


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "f8"])
def test_white_is_zero(dtype):
    array = ramp((20, 30), "<" + dtype)
    np.testing.assert_array_equal(
        decode_image(written(array, photometric="miniswhite")).pixels, 255 - expected_rgb(array)
    )


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("alpha", ["unassalpha", "assocalpha"])
def test_both_kinds_of_alpha(dtype, alpha):
    top = np.iinfo(dtype).max
    color, half = np.array([top, 0, 0]), top // 2 + 1
    stored = np.append(color // 2 + (color > 0) if alpha == "assocalpha" else color, half).astype(dtype)
    array = np.tile(stored, (16, 16, 1))
    pixels = decode_image(written(array, photometric="rgb", extrasamples=[alpha])).pixels
    assert np.abs(pixels[0, 0].astype(int) - [255, 127, 127]).max() <= 1


def test_deep_cmyk_goes_to_pillow():
    array = np.zeros((2, 2, 4), np.uint16)
    array[..., 0] = 65535
    decoded = decode_image(written(array, photometric="separated"))
    assert (decoded.decoder, decoded.pixels[0, 0].tolist()) == ("pillow", [0, 255, 255])


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_signed_values_need_the_image_range(byteorder, compression):
    data = written(np.array([[-100, 0, 100]], np.int16), byteorder=byteorder, compression=compression)
    with pytest.raises(
        UnsupportedError, match="must be unsigned, got int16 from -100 to 100; set depth to image_range"
    ):
        decode_image(data)
    assert decode_image(data, policy=DecodePolicy(depth="image_range")).pixels[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_orientation_is_applied_once_by_either_decoder(dtype, orientation):
    array = ramp((4, 6, 3), "<" + dtype)
    data = written(array, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    stored = decode_image(data, policy=DecodePolicy(apply_orientation=False))
    assert stored.orientation == orientation
    np.testing.assert_array_equal(stored.pixels, expected_rgb(array))
    turned = Image.fromarray(expected_rgb(array))
    turned.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(decode_image(data).pixels, np.asarray(ImageOps.exif_transpose(turned)))


def test_a_missing_page_is_named():
    with pytest.raises(DecodeError, match="page must be less than 1, got 4; this image has 1"):
        decode_image(written(np.zeros((2, 2), np.uint8)), policy=DecodePolicy(page=4))


@pytest.mark.parametrize(("number", "name"), [(34712, "jpeg 2000"), (50001, "webp"), (777, "unknown")])
def test_compressions_that_are_not_read_are_named(number, name):
    data = bytearray(written(np.zeros((2, 2), np.uint8)))
    entry = data.index(b"\x03\x01\x03\0\x01\0\0\0\x01\0")
    data[entry + 8 : entry + 10] = number.to_bytes(2, "little")
    with pytest.raises(UnsupportedError, match=rf"tiff compression .* got {name} \({number}\)"):
        decode_image(bytes(data))


@pytest.mark.parametrize(("mode", "dtype"), [("I;16", "u2"), ("F", "f4"), ("I", "i4")])
def test_deep_gray_in_lzw_goes_to_pillow(mode, dtype):
    array = np.linspace(0, 1, 64).reshape(8, 8)
    array = array.astype(np.float32) if dtype == "f4" else np.rint(array * 65535).astype(dtype)
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "TIFF", compression="tiff_lzw")
    decoded = decode_image(buffer.getvalue(), policy=DecodePolicy(depth="image_range"))
    assert decoded.decoder == "pillow"
    np.testing.assert_array_equal(decoded.pixels, expected_rgb(array if dtype == "f4" else array.astype("u2")))


def test_what_pillow_swaps_wrongly_is_refused():
    data = bytearray(written(np.zeros((4, 4), np.float32), byteorder=">", compression="zlib"))
    entry = data.index(b"\x01\x03\0\x03\0\0\0\x01")
    data[entry + 8 : entry + 10] = (5).to_bytes(2, "big")
    with pytest.raises(
        UnsupportedError,
        match="big-endian 32-bit tiff of this type must be uncompressed or deflated, got compression 5",
    ):
        decode_image(bytes(data))


@pytest.mark.assets
@pytest.mark.parametrize("page", range(6))
def test_pages_of_the_assets_equal_pillows(assets, page):
    for name in ("made_multipage_6.tif", "made_multipage_mixed_sizes.tif"):
        file = assets / "formats" / name
        with Image.open(file) as image:
            if page >= image.n_frames:
                continue
            image.seek(page)
            expected = np.asarray(image.convert("RGB"))
        decoded = decode_image(file.read_bytes(), policy=DecodePolicy(page=page))
        np.testing.assert_array_equal(decoded.pixels, expected)


@pytest.mark.assets
def test_the_deep_assets_equal_tifffile(assets):
    for name in ("made_rgb16.tif", "16bit.cropped.tif", "16bit.MM.cropped.tif"):
        file = assets / "formats" / name
        np.testing.assert_array_equal(decode_image(file.read_bytes()).pixels, expected_rgb(tifffile.imread(file)))


@pytest.mark.assets
def test_twelve_bits_are_scaled_by_their_own_range(assets):
    file = assets / "formats" / "12bit.cropped.tif"
    with Image.open(file) as image:
        values = np.asarray(image).astype(float)
    assert values.max() <= 4095
    np.testing.assert_array_equal(decode_image(file.read_bytes()).pixels[..., 0], np.rint(values / 4095 * 255))
