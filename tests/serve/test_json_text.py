from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.json_text import to_json

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=JSON)
def test_what_is_written_is_read_again(value: object) -> None:
    assert json.loads(to_json(value)) == value


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_comes_back_to_the_bit(value: float) -> None:
    assert np.float32(json.loads(to_json(np.float32(value)))) == np.float32(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"),
        ({"a": [1.0, math.inf, {"b": (math.nan,)}]}, '{"a":[1.0,null,{"b":[null]}]}'),
        (np.array([1, 2], np.int32), "[1,2]"),
        ({"a": np.array([math.nan])}, '{"a":[null]}'),
        (b"\x00\xff", '"AP8="'),
        ("é", '"\\u00e9"'),
    ],
    ids=["nan", "nested", "array", "array-with-nan", "bytes", "not-ascii"],
)
def test_what_json_has_not(value: object, text: str) -> None:
    assert to_json(value) == text.encode()


def test_anything_else_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="must be one that JSON knows, got object"):
        to_json(object())
