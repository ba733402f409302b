from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jobs.spread_sample import SpreadSample


@given(count=st.integers(0, 2_000), max_size=st.integers(2, 40))
def test_a_sample_is_spread_evenly(count: int, max_size: int) -> None:
    sample = SpreadSample[int](max_size)
    assert list(sample.watch(iter(range(count)))) == list(range(count))
    kept = sample.kept
    assert min(count, max_size // 2) <= len(kept) <= max_size
    steps = {later - earlier for earlier, later in pairwise(kept)}
    assert len(steps) <= 1
    assert kept[:1] == ([0] if count else [])
    assert not kept or count - kept[-1] <= max(steps, default=count)
