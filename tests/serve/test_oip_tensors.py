from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from serve.errors import MalformedBodyError
from serve.oip_tensors import GivenOutput, GivenTensor, read_images, read_pixels, write_binary, write_values


def images(values: Any, *, shape: tuple[int, ...]) -> GivenTensor:
    return GivenTensor(name="image", datatype="BYTES", shape=shape, values=values)


def pixels(values: Any, *, shape: tuple[int, ...]) -> GivenTensor:
    return GivenTensor(name="pixels", datatype="UINT8", shape=shape, values=values)


def triton_bytes(elements: list[bytes]) -> bytes:
    """As the stock client serialises them."""
    return b"" if not elements else serialize_byte_tensor(np.array(elements, dtype=object)).item()


@given(elements=st.lists(st.binary(max_size=300), max_size=5))
def test_elements_of_the_stock_client_are_read_and_ours_are_read_by_it(elements: list[bytes]) -> None:
    raw = triton_bytes(elements)
    assert read_images(images(raw, shape=(len(elements),))) == elements
    written = write_binary(
        GivenOutput(name="row", datatype="BYTES", shape=(len(elements),), values=elements, is_text=False)
    )
    assert bytes(written) == raw
    if elements:
        assert deserialize_bytes_tensor(bytes(written)).tolist() == elements


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        pytest.param(["AQI=", "Aw=="], (2,), id="flat"),
        pytest.param([["AQI="], ["Aw=="]], (2, 1), id="nested"),
        pytest.param([b"\x01\x02", b"\x03"], (2,), id="typed contents"),
        pytest.param(memoryview(b"\x02\0\0\0\x01\x02\x01\0\0\0\x03"), (2, 1), id="binary"),
    ],
)
def test_images_are_read_however_they_come(values: Any, shape: tuple[int, ...]) -> None:
    assert read_images(images(values, shape=shape)) == [b"\x01\x02", b"\x03"]


def test_deeply_nested_lists_are_read_without_recursion() -> None:
    nested: Any = [base64.b64encode(b"x").decode()]
    for _ in range(10_000):
        nested = [nested]
    assert read_images(images(nested, shape=(1,))) == [b"x"]


@pytest.mark.parametrize(
    ("values", "shape", "message"),
    [
        pytest.param(b"", (1,), "must be 1 elements for shape \\[1\\], got 0", id="nothing"),
        pytest.param(b"\x01\0\0\0a", (2,), "must be 2 elements for shape \\[2\\], got 1", id="too few"),
        pytest.param(b"\x01\0", (1,), "a length of 1 with 0 bytes left", id="cut length"),
        pytest.param(b"\xff\xff\xff\xffab", (1,), "a length of 4294967295 with 2 bytes left", id="lying length"),
        pytest.param(["not base64!"], (1,), "base64 text, got 'not base64!'; encode", id="no base64"),
        pytest.param(["é"], (1,), "base64 text, got 'é'", id="beyond ASCII"),
        pytest.param([7], (1,), "base64 text, got 7", id="a number"),
        pytest.param(["A" * 99], (1,), "got 'A{39}\\.\\.\\.;", id="long text is cut"),
        pytest.param(["AQI="], (2**62, 2**62), f"must be {2**124} elements", id="product beyond 64 bits"),
    ],
)
def test_images_that_are_not_what_the_shape_says_are_refused(values: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(MalformedBodyError, match=message):
        read_images(images(values, shape=shape))


@pytest.mark.parametrize("form", ["binary", "flat", "nested"])
def test_pixels_are_read_however_they_come(form: str) -> None:
    expected = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 3)).astype(np.uint8)
    values = {"binary": expected.tobytes(), "flat": expected.ravel().tolist(), "nested": expected.tolist()}[form]
    found = read_pixels(pixels(values, shape=expected.shape))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)


def test_binary_pixels_are_not_copied() -> None:
    raw = bytes(range(12))
    found = read_pixels(pixels(memoryview(raw), shape=(1, 2, 2, 3)))
    assert np.shares_memory(found, np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param(b"\0" * 11, "must be 12 bytes for shape \\[1, 2, 2, 3\\], got 11", id="too few bytes"),
        pytest.param(b"\0" * 13, "got 13", id="too many bytes"),
        pytest.param([0] * 11, "got 11", id="too few numbers"),
        pytest.param([256] * 12, "whole numbers from 0 to 255", id="too large"),
        pytest.param([-1] * 12, "whole numbers from 0 to 255", id="negative"),
        pytest.param([0.5] * 12, "uint8 and not normalised", id="fractions"),
        pytest.param(["a"] * 12, "whole numbers from 0 to 255", id="text"),
        pytest.param([None] * 12, "whole numbers from 0 to 255", id="null"),
    ],
)
def test_pixels_that_are_not_what_the_shape_says_are_refused(values: Any, message: str) -> None:
    with pytest.raises(MalformedBodyError, match=message):
        read_pixels(pixels(values, shape=(1, 2, 2, 3)))


def test_numbers_are_written_little_endian_row_by_row() -> None:
    values = np.array([[1, 2], [3, 4]], "<f4")
    output = GivenOutput(name="score", datatype="FP32", shape=(2, 2), values=values)
    assert bytes(write_binary(output)) == np.array([1, 2, 3, 4], "<f4").tobytes()
    assert write_values(output) == [1.0, 2.0, 3.0, 4.0]


def test_an_empty_output_is_no_bytes() -> None:
    output = GivenOutput(name="boxes_xyxy", datatype="FP32", shape=(1, 0, 4), values=np.zeros((1, 0, 4), "<f4"))
    assert bytes(write_binary(output)) == b""
    assert write_values(output) == []


def test_bytes_that_are_no_text_are_base64_in_json() -> None:
    picture = GivenOutput(name="mask_png", datatype="BYTES", shape=(1,), values=[b"\x89P"], is_text=False)
    text = GivenOutput(name="label", datatype="BYTES", shape=(1,), values=["é".encode()])
    assert write_values(picture) == [base64.b64encode(b"\x89P").decode()]
    assert write_values(text) == ["é"]
