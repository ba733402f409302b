from __future__ import annotations

import numpy as np
import pytest

from inference_core.convert.output_gaps import difference, relative_difference, worst

ONES = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("expected", "found", "absolute", "relative"),
    [
        pytest.param({}, {}, 0.0, 0.0, id="no outputs"),
        pytest.param({"a": ONES * 4}, {"b": ONES * 5}, 1.0, 0.25, id="other names"),
        pytest.param({"a": ONES * 0}, {"a": ONES * 2}, 2.0, 2.0, id="nothing but zeros"),
        pytest.param({"a": ONES, "b": ONES * 8}, {"b": ONES * 8, "a": ONES * 2}, 1.0, 1.0, id="another order"),
        pytest.param({"a": ONES, "b": ONES * 8}, {"a": ONES, "b": ONES * 9}, 1.0, 0.125, id="the second differs"),
        pytest.param({"a": ONES}, {"a": ONES[:1]}, 0.0, 0.0, id="a graph of a fixed batch gives fewer images"),
        pytest.param({"a": ONES}, {"a": ONES[:, :2]}, None, None, id="another shape"),
        pytest.param({"a": ONES}, {"a": ONES, "b": ONES}, None, None, id="an output more"),
        pytest.param({"a": ONES}, {"a": ONES * np.nan}, None, None, id="not finite"),
    ],
)
def test_gaps(expected: dict, found: dict, absolute: float | None, relative: float | None) -> None:
    assert difference(expected, found) == absolute
    assert relative_difference(expected, found) == relative


@pytest.mark.parametrize(
    ("gaps", "largest"), [([], 0.0), ([0.5, 2.0], 2.0), ([0.5, None], None)], ids=["none", "some", "unknown"]
)
def test_worst(gaps: list[float | None], largest: float | None) -> None:
    assert worst(gaps) == largest
