from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inference_core.quality import level_counts
from inference_core.quality.level_counts import count_levels, frac_where, mean_of, quantile_of, std_of

VALUES = np.arange(256) / 255
PLANES = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))


@given(PLANES, st.floats(0, 1))
def test_figures_are_numpys(plane: Any, q_frac: float) -> None:
    counts, exact = count_levels(plane), plane / 255
    assert counts.tolist() == np.bincount(plane.ravel(), minlength=256).tolist()
    assert mean_of(counts, VALUES) == pytest.approx(exact.mean(), abs=1e-12)
    assert std_of(counts, VALUES) == pytest.approx(exact.std(), abs=1e-7)
    assert quantile_of(counts, VALUES, q_frac) == pytest.approx(np.quantile(exact, q_frac), abs=1e-9)
    assert frac_where(counts, VALUES >= 0.5) == pytest.approx((exact >= 0.5).mean())


@given(PLANES)
def test_only_pixels_that_are_named_count(plane: Any) -> None:
    where = (plane % 3).astype(np.uint8)
    inside = plane[where != 0]
    assert count_levels(plane, where=where).tolist() == np.bincount(inside, minlength=256).tolist()


def test_no_pixels_have_no_figures() -> None:
    none = np.zeros(256, np.int64)
    assert (mean_of(none, VALUES), std_of(none, VALUES), quantile_of(none, VALUES, 0.5)) == (None,) * 3
    assert frac_where(none, VALUES >= 0) is None


def test_planes_with_more_pixels_than_opencv_counts_exactly_are_counted_in_parts() -> None:
    plane = np.zeros((level_counts.MAX_COUNTED // 4096 + 1, 4096), np.uint8)
    assert count_levels(plane)[0] == plane.size > 2**24
    assert count_levels(plane, where=np.ones_like(plane))[0] == plane.size
