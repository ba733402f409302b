from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.enhance.views import apply_view
from inference_core.view_spec import View, check_views, parse_view

STEPS = {
    "identity": lambda array: array,
    "hflip": lambda array: array[:, :, ::-1],
    "vflip": lambda array: array[:, ::-1],
    "rot90": lambda array: np.rot90(array, 1, (1, 2)),
    "rot180": lambda array: np.rot90(array, 2, (1, 2)),
    "rot270": lambda array: np.rot90(array, 3, (1, 2)),
}
"""What the names mean, by NumPy."""

names = st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6)


@given(names)
def test_a_product_is_its_factors_from_left_to_right(factors: list[str]) -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(1, 3, 4, 2)
    expected = reduce(lambda array, name: STEPS[name](array), factors, pixels)
    np.testing.assert_array_equal(apply_view(parse_view("*".join(factors)), pixels, multiple_px=1), expected)


@given(names, names)
def test_two_products_are_one_view_where_numpy_says_so(one: list[str], other: list[str]) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    pictures = [reduce(lambda array, name: STEPS[name](array), factors, pixels) for factors in (one, other)]
    is_same = pictures[0].shape == pictures[1].shape and bool((pictures[0] == pictures[1]).all())
    assert (parse_view("*".join(one)) == parse_view("*".join(other))) == is_same


def test_scales_multiply_and_do_not_turn() -> None:
    assert parse_view("scale:0.5*hflip*scale:1.5") == View(is_mirrored=True, scale=0.75)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "must be identity, hflip, .* or a product such as hflip\\*rot90, got ''", id="empty"),
        pytest.param("flip", "must be identity, hflip, vflip, .*, got 'flip'; correct it", id="unknown"),
        pytest.param("hflip*", "must be identity, .*, got 'hflip\\*'", id="open product"),
        pytest.param("rot45", "must be identity, .*, got 'rot45'", id="no quarter"),
        pytest.param("scale:", "scale must be from 0.25 to 4.0, got 'scale:'; write scale:1.25", id="no number"),
        pytest.param("scale:0", "scale must be from 0.25 to 4.0, got 'scale:0'", id="nothing left"),
        pytest.param("scale:nan", "scale must be from 0.25 to 4.0, got 'scale:nan'", id="nan"),
    ],
)
def test_what_is_no_view_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_view(text)


@pytest.mark.parametrize(
    ("given_names", "expected"),
    [
        pytest.param(("hflip",), ("identity", "hflip"), id="the image itself is always seen"),
        pytest.param(("identity", "hflip"), ("identity", "hflip"), id="or named"),
        pytest.param(("hflip", "identity"), ("identity", "hflip"), id="and always first"),
        pytest.param(("identity",), ("identity",), id="alone"),
    ],
)
def test_the_identity_comes_first(given_names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert check_views(given_names) == expected


@pytest.mark.parametrize(
    "doubled", [("hflip", "hflip"), ("vflip", "hflip*rot180"), ("identity", "identity"), ("rot90*rot270",)]
)
def test_a_view_that_is_there_twice_is_refused(doubled: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be different views, got .* which are the same; remove one"):
        check_views(doubled)
