from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.tally import merge_tallies, tally_of

texts = st.lists(st.sampled_from(["", "jpeg", "png", "ok"]), max_size=20)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        pytest.param(pa.chunked_array([], pa.string()), {}, id="no-chunk"),
        pytest.param(pa.chunked_array([["png", "jpeg", "png"]]), {"jpeg": 1, "png": 2}, id="sorted-by-name"),
        pytest.param(pa.chunked_array([["png", None], [""]]), {"": 2, "png": 1}, id="null-is-empty"),
        pytest.param(pa.chunked_array([["b", "a", "b"]]).dictionary_encode(), {"a": 1, "b": 2}, id="dictionary"),
    ],
)
def test_texts_are_counted(column: pa.ChunkedArray, expected: dict[str, int]) -> None:
    tally = tally_of(column)
    assert tally == expected
    assert list(tally) == sorted(tally)


@given(texts, texts)
def test_merge_equals_the_count_of_both(a: list[str], b: list[str]) -> None:
    x, y = (tally_of(pa.chunked_array([part], pa.string())) for part in (a, b))
    assert merge_tallies(x, y) == merge_tallies(y, x) == dict(Counter(a + b))
    assert merge_tallies(x, {}) == x
