"""Every number type becomes 8 bits without clipping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.depth import scale_to_uint8


def scale(values, dtype, *, depth="type_range", bits=None):
    array = np.array(values, dtype)
    array.flags.writeable = False
    return scale_to_uint8(array, depth=depth, bits=bits).tolist()


@pytest.mark.parametrize(
    ("values", "dtype", "bits", "expected"),
    [
        ([False, True], bool, None, [0, 255]),
        ([0, 7, 255], np.uint8, None, [0, 7, 255]),
        ([0, 1, 15], np.uint8, 4, [0, 17, 255]),
        ([0, 4095], np.uint16, 12, [0, 255]),
        ([0, 128, 129, 257, 65534, 65535], np.uint16, None, [0, 0, 1, 1, 255, 255]),
        ([0, 257, 65535], ">u2", None, [0, 1, 255]),
        ([0, 2**31, 2**32 - 1], np.uint32, None, [0, 128, 255]),
        ([0, 0.5, 1], np.float16, None, [0, 128, 255]),
        ([0, 0.25, 1], np.float32, None, [0, 64, 255]),
        ([-0.0019, 1.0019], np.float64, None, [0, 255]),
    ],
    ids=["bool", "8", "4of8", "12of16", "16", "16be", "32", "f2", "f4", "f8-half-a-level-outside"],
)
def test_type_range(values, dtype, bits, expected):
    assert scale(values, dtype, bits=bits) == expected


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([3, 3], np.uint16, [0, 0]),
        ([3, 9], np.uint8, [3, 9]),
        ([100, 150, 200], np.uint16, [0, 128, 255]),
        ([-100, 0, 100], np.int16, [0, 128, 255]),
        ([-3.0, 0.0, 9.0], np.float32, [0, 64, 255]),
        ([-1.7e308, 0, 1.7e308], np.float64, [0, 128, 255]),
        ([0, 5e-324], np.float64, [0, 0]),
    ],
    ids=["constant", "8-bit-stays", "u2", "i2", "f4", "span-overflows", "span-underflows"],
)
def test_image_range(values, dtype, expected):
    assert scale(values, dtype, depth="image_range") == expected


@pytest.mark.parametrize(
    ("values", "dtype", "error", "message"),
    [
        ([0, 300], np.int16, UnsupportedError, "must be unsigned, got int16 from 0 to 300; set depth"),
        ([-1, 2], np.float32, UnsupportedError, r"must lie in \[0, 1\], got float32 from -1 to 2; set depth"),
        ([0, np.nan], np.float32, DecodeError, "must be finite"),
        ([0, np.inf], np.float32, DecodeError, "must be finite"),
        ([1j], np.complex64, UnsupportedError, "must be bool, integer or float, got complex64"),
    ],
    ids=["signed", "outside", "nan", "inf", "complex"],
)
def test_values_without_a_scale(values, dtype, error, message):
    with pytest.raises(error, match=message):
        scale(values, dtype)


def test_all_16_bit_values_round_to_nearest():
    values = np.arange(65536, dtype=np.uint16)
    expected = (values.astype(np.int64) * 255 * 2 + 65535) // (2 * 65535)  # exact in integers
    np.testing.assert_array_equal(scale_to_uint8(values, depth="type_range"), expected)


@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=3, max_side=9), elements=st.floats(-1e6, 1e6, width=32)
    )
)
def test_image_range_keeps_order_and_uses_the_whole_range(values):
    scaled = scale_to_uint8(values, depth="image_range").ravel()
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(scaled[order].astype(int)) >= 0).all()
    if values.max() > values.min():
        assert (scaled.min(), scaled.max()) == (0, 255)


def test_large_arrays_are_scaled_like_small_ones():
    values = np.linspace(0, 1, 600_000, dtype=np.float32).reshape(3000, 200)
    parts = [scale_to_uint8(row, depth="type_range") for row in values]
    np.testing.assert_array_equal(scale_to_uint8(values, depth="type_range"), parts)
