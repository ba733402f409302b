"""Arrays of image shape are images; others say what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import DecodeError, TooLargeError, UnsupportedError
from inference_core.images.array_pixels import decode_array
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy


def decode(array, *, limits=None, **policy):
    array.flags.writeable = False
    return decode_array(array, policy=DecodePolicy(**policy), limits=limits or Limits(), format_name="array")


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (2, 3, 1), (2, 3, 3), (1, 1, 4)], ids=str)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.float32])
def test_every_shape_and_type_is_rgb(shape, dtype):
    decoded = decode(np.ones(shape, dtype))
    assert (decoded.decoder, decoded.format) == ("numpy", "array")
    assert decoded.image_hw == shape[:2]
    if len(shape) == 2 or shape[2] != 4:
        expected = 1 if dtype is np.uint8 else 0 if dtype is np.uint16 else 255
        assert (decoded.pixels == expected).all()


def test_rgb_bytes_are_not_copied():
    array = np.zeros((4, 4, 3), np.uint8)
    assert np.shares_memory(decode(array).pixels, array)


def test_strided_arrays_come_contiguous():
    array = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    flipped = decode(array[:, ::-1]).pixels
    assert flipped.flags.c_contiguous
    np.testing.assert_array_equal(flipped, array[:, ::-1])


def test_alpha_of_an_array_follows_the_policy():
    array = np.array([[[0, 0, 0, 0]]], np.uint16)
    assert decode(array).pixels.tolist() == [[[255, 255, 255]]]
    assert decode(array, alpha="drop").pixels.tolist() == [[[0, 0, 0]]]


def test_depth_policy_reaches_arrays():
    array = np.array([[1000, 2000]], np.uint16)
    assert decode(array).pixels[0, :, 0].tolist() == [4, 8]
    assert decode(array, depth="image_range").pixels[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros(()), UnsupportedError, r"array must be \(H, W\), .*, got \[\]"),
        (np.zeros(5), UnsupportedError, r"got \[5\]; move the channels last"),
        (np.zeros((3, 8, 8)), UnsupportedError, r"got \[3, 8, 8\]; move the channels last"),
        (np.zeros((1, 8, 8, 3)), UnsupportedError, r"got \[1, 8, 8, 3\]"),
        (np.zeros((0, 4, 3)), DecodeError, r"array must have pixels, got \[0, 4, 3\]"),
        (np.zeros((2, 2), object), UnsupportedError, "got object"),
        (np.zeros((2, 2), "S4"), UnsupportedError, r"got \|S4"),
    ],
    ids=["0-d", "1-d", "channels-first", "batch", "empty", "object", "text"],
)
def test_arrays_that_are_no_image(array, error, message):
    with pytest.raises(error, match=message):
        decode(array)


def test_limits_and_page():
    with pytest.raises(TooLargeError, match="max_pixels"):
        decode(np.zeros((3, 4)), limits=Limits(max_pixels=11))
    with pytest.raises(DecodeError, match="page must be less than 1, got 2"):
        decode(np.zeros((3, 4)), page=2)
