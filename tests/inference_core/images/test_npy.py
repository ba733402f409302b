"""NPY files are arrays, whole and never pickles."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.errors import DecodeError, InputError, TooLargeError, UnsupportedError
from inference_core.images.array_pixels import decode_array
from inference_core.images.decode import decode_image
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("dtype", ["?", "u1", "<u2", ">u2", "<f2", "<f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_equals_the_array(dtype, order, version):
    array = np.asarray(np.random.default_rng(0).random((5, 7, 3)), order=order)
    array = (array * (1 if "f" in dtype else 250)).astype(dtype)
    decoded = decode_image(saved(array, version))
    expected = decode_array(array, policy=DecodePolicy(), limits=Limits(), format_name="npy")
    assert (decoded.format, decoded.decoder) == ("npy", "numpy")
    np.testing.assert_array_equal(decoded.pixels, expected.pixels)


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8)), st.integers(1, 200))
def test_every_cut_is_an_error(array, cut):
    data = saved(array)
    with pytest.raises(InputError):
        decode_image(data[: max(0, len(data) - cut)])


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (saved(np.zeros((9, 9), np.uint8))[:-1], DecodeError, "npy data must be whole, got 80 of 81 bytes"),
        (
            saved(np.zeros((2, 2), "M8[s]")),
            UnsupportedError,
            "npy values must be bool, integer or float, got datetime64",
        ),
        (saved(np.zeros((2, 2), [("a", "u1")])), UnsupportedError, "npy values must be"),
        (saved(np.zeros((3, 2, 2), np.uint8)), UnsupportedError, "move the channels last"),
        (b"\x93NUMPY\x03\0", UnsupportedError, "npy version must be 1.0 or 2.0, got 3.0"),
        (b"\x93NUMPY\x01\0\xff\xff", DecodeError, "npy must be a whole, valid image"),
    ],
    ids=["short", "dates", "record", "channels-first", "version", "header"],
)
def test_files_that_are_no_image(data, error, message):
    with pytest.raises(error, match=message):
        decode_image(data)


def test_objects_are_never_unpickled():
    buffer = io.BytesIO()
    np.save(buffer, np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(UnsupportedError, match="got object"):
        decode_image(buffer.getvalue())


def test_a_huge_shape_is_refused_by_its_header():
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (60_000, 60_000)})
    with pytest.raises(TooLargeError, match="pixels of 60000x60000"):
        decode_image(buffer.getvalue())


def test_a_true_stored_as_2_is_white():
    data = bytearray(saved(np.array([[True, False]])))
    data[-2] = 2
    assert decode_image(bytes(data)).pixels[0, :, 0].tolist() == [255, 0]
