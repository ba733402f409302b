"""Alpha, palettes, CMYK and LAB become RGB as the policy says."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.color import lab2xyz, xyz2rgb

from inference_core.errors import UnsupportedError
from inference_core.images.flatten import flatten_alpha, flatten_to_rgb
from inference_core.images.policy import DecodePolicy

HALF_RED = Image.new("RGBA", (2, 1), (255, 0, 0, 128))
BACKGROUNDS = [("white", (255, 127, 127)), ("black", (128, 0, 0)), ("drop", (255, 0, 0))]


@pytest.mark.parametrize(("alpha", "expected"), BACKGROUNDS)
def test_alpha_policies(alpha, expected):
    pixels = flatten_to_rgb(HALF_RED, DecodePolicy(alpha=alpha))
    assert pixels.tolist() == [[list(expected)] * 2]


@pytest.mark.parametrize("alpha", ["white", "black"])
def test_blend_equals_the_formula(alpha):
    rgba = np.random.default_rng(0).integers(0, 256, (40, 40, 4), dtype=np.uint8)
    weight = rgba[..., 3:] / 255
    expected = rgba[..., :3] * weight + (255 if alpha == "white" else 0) * (1 - weight)
    pixels = flatten_alpha(Image.fromarray(rgba), DecodePolicy(alpha=alpha))
    assert np.abs(pixels - expected).max() <= 0.51  # rounding to nearest


def palette_image(transparency: int | bytes) -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.info["transparency"] = transparency
    return image


def with_transparency(mode: str, colors: list, transparent: object) -> Image.Image:
    image = Image.new(mode, (2, 1))
    image.putdata(colors)
    image.info["transparency"] = transparent
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (palette_image(0), [[255, 255, 255], [0, 0, 255]]),
        (palette_image(b"\x00\xff"), [[255, 255, 255], [0, 0, 255]]),
        (with_transparency("L", [7, 9], 7), [[255, 255, 255], [9, 9, 9]]),
        (with_transparency("1", [0, 1], 0), [[255, 255, 255], [255, 255, 255]]),
        (with_transparency("RGB", [(1, 2, 3), (4, 5, 6)], (1, 2, 3)), [[255, 255, 255], [4, 5, 6]]),
        (with_transparency("I;16", [257, 514], 257), [[255, 255, 255], [2, 2, 2]]),
        (Image.new("LA", (2, 1), (10, 0)), [[255, 255, 255]] * 2),
        (Image.new("La", (2, 1), (0, 0)), [[255, 255, 255]] * 2),
        (Image.new("RGBa", (2, 1), (128, 0, 0, 128)), [[255, 127, 127]] * 2),
    ],
    ids=["P-int", "P-bytes", "L", "1", "RGB", "I;16", "LA", "La", "RGBa"],
)
def test_transparent_pixels_show_white(image, expected):
    assert flatten_to_rgb(image, DecodePolicy()).tolist() == [expected]


def test_a_transparent_deep_gray_is_kept_when_alpha_is_dropped():
    image = with_transparency("I;16", [257, 514], 257)
    assert flatten_to_rgb(image, DecodePolicy(alpha="drop"))[0, :, 0].tolist() == [1, 2]
    assert flatten_to_rgb(image, DecodePolicy(alpha="black"))[0, :, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 7, (7, 7, 7)),
        ("I;16", 65535, (255, 255, 255)),
        ("F", 0.5, (128, 128, 128)),
        ("HSV", (0, 0, 9), (9, 9, 9)),
        ("YCbCr", (77, 128, 128), (77, 77, 77)),
        ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_plain_modes(mode, color, expected):
    assert flatten_to_rgb(Image.new(mode, (1, 1), color), DecodePolicy()).tolist() == [[list(expected)]]


def test_signed_integers_have_no_scale():
    with pytest.raises(UnsupportedError, match="must be unsigned, got int32"):
        flatten_to_rgb(Image.new("I", (1, 1), 5), DecodePolicy())


BRADFORD_D50_TO_D65 = np.array(  # http://www.brucelindbloom.com/Eqn_ChromAdapt.html
    [[0.9555766, -0.0230393, 0.0631636], [-0.0282895, 1.0099416, 0.0210077], [0.0122982, -0.0204830, 1.3299098]]
)


def srgb_of_lab(lab: np.ndarray) -> np.ndarray:
    """(..., 3) sRGB in 0..255 of CIE L*a*b* under D50, by scikit-image."""
    return xyz2rgb(lab2xyz(lab, illuminant="D50") @ BRADFORD_D50_TO_D65.T) * 255


def test_lab_equals_skimage():
    lab = np.stack(np.meshgrid(range(30, 90, 5), range(-40, 41, 8), range(-40, 41, 8)), -1).reshape(1, -1, 3)
    stored = np.concatenate([np.rint(lab[..., :1] * 2.55), lab[..., 1:] % 256], axis=2).astype(np.uint8)
    image = Image.frombytes("LAB", (lab.shape[1], 1), stored.tobytes())
    expected = srgb_of_lab(np.concatenate([stored[..., :1] / 2.55, lab[..., 1:]], axis=2))
    inside = ((expected > 20) & (expected < 235)).all(axis=2)
    difference = np.abs(flatten_to_rgb(image, DecodePolicy())[inside] - expected[inside])
    assert inside.sum() > 300
    assert difference.max() <= 8  # the transform interpolates in an 8-bit table, coarse for saturated colours
    assert difference.mean() < 0.6


def cmyk_profile(corners: np.ndarray) -> bytes:
    """A minimal ICC profile: one 8-bit table from CMYK to Lab.

    Args:
        corners: (2, 2, 2, 2, 3) CIE L*a*b* of no or full cyan, magenta, yellow and black.

    Source: ICC.1:2001-04, sections 6.1 (header) and 6.5.7 (lut8Type).
    """
    identity = np.arange(256, dtype=np.uint8)
    grid = np.concatenate([corners[..., :1] * 2.55, corners[..., 1:] + 128], axis=-1)
    matrix = struct.pack(">9l", *(np.eye(3) * 65536).astype(int).ravel())
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix
    table += np.tile(identity, 4).tobytes() + np.rint(grid).astype(np.uint8).tobytes() + np.tile(identity, 3).tobytes()
    size = 128 + 4 + 12 + len(table)
    header = struct.pack(">L4sL4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ") + bytes(12) + b"acsp"
    header += bytes(28) + struct.pack(">3l", 63190, 65536, 54061)  # the D50 white of the connection space
    return header.ljust(128, b"\0") + struct.pack(">L4sLL", 1, b"A2B0", 144, len(table)) + table


def test_an_embedded_cmyk_profile_is_used():
    corners = np.zeros((2, 2, 2, 2, 3))
    corners[:, :, :, 0, 0] = 50
    corners[0, 0, 0, 0, 0] = 100
    corners[1, 0, 0, 0] = (60, -20, -30)
    corners[0, 1, 0, 0] = (50, 40, 10)
    image = Image.new("CMYK", (2, 1))
    image.putdata([(255, 0, 0, 0), (0, 255, 0, 0)])
    image.info["icc_profile"] = cmyk_profile(corners)
    expected = srgb_of_lab(np.array([[corners[1, 0, 0, 0], corners[0, 1, 0, 0]]]))
    assert np.abs(flatten_to_rgb(image, DecodePolicy()) - expected).max() <= 3
    naive = flatten_to_rgb(image, DecodePolicy(cmyk="naive"))
    assert naive.tolist() == [[[0, 255, 255], [255, 0, 255]]]


def test_broken_or_foreign_cmyk_profiles_fall_back_to_naive():
    image = Image.new("CMYK", (1, 1), (255, 0, 0, 0))
    foreign = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (b"broken", foreign):
        image.info["icc_profile"] = profile
        assert flatten_to_rgb(image, DecodePolicy()).tolist() == [[[0, 255, 255]]]
