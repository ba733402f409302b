from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.json_events import event_line, finite

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def refuse(text: str) -> float:
    raise AssertionError(f"{text} is no JSON")


@given(facts=st.dictionaries(st.text().filter(lambda key: key not in ("time", "event")), VALUES))
def test_every_event_is_one_line_of_strict_json(facts: dict[str, Any]) -> None:
    line = event_line("probe", facts)
    assert "\n" not in line
    read = json.loads(line, parse_constant=refuse)
    assert (read.pop("event"), list(read)) == ("probe", ["time", *facts])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(math.nan, None, id="nan"),
        pytest.param({"a": [1.5, -math.inf]}, {"a": [1.5, None]}, id="nested"),
        pytest.param((True, 2, "x", None), [True, 2, "x", None], id="others-stay"),
    ],
)
def test_numbers_that_json_does_not_know_are_null(value: Any, expected: Any) -> None:
    assert finite(value) == expected
