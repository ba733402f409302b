from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.stats.json_record import json_from_record, record_from_json
from inference_core.stats.timings import STAGES, StageTimes, Timings

times = st.lists(st.floats(0, 1e5, width=32), max_size=20).map(lambda values: np.array(values, dtype=np.float64))


def timings_of(times_ms: np.ndarray) -> Timings:
    return Timings.of({stage: times_ms * (k + 1) for k, stage in enumerate(STAGES)})


def test_a_stage_that_was_not_reached_is_not_counted() -> None:
    stage = StageTimes.of(np.array([0.0, 2.0, 4.0, np.nan]))
    assert (stage.moments.count, stage.moments.sum, stage.moments.maximum, stage.sketch.count) == (2, 6.0, 4.0, 2)


def test_the_total_is_over_all_stages() -> None:
    assert Timings.empty().total_ms == 0
    assert timings_of(np.array([1.0, 2.0])).total_ms == 3 * (1 + 2 + 3 + 4)


@given(times, times, times)
def test_merge_is_exact_associative_and_commutative(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    x, y, z = map(timings_of, (a, b, c))
    assert x.merge(y) == y.merge(x) == timings_of(np.concatenate([a, b]))
    assert x.merge(y).merge(z) == x.merge(y.merge(z))
    assert x.merge(Timings.empty()) == x


@given(times)
def test_json_round_trip_is_exact(times_ms: np.ndarray) -> None:
    timings = timings_of(times_ms)
    assert record_from_json(Timings, json_from_record(timings), name="timings") == timings


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ValueError, match="stages must be fetch, prepare, infer, finish, got upload"):
        Timings.of({"upload": np.empty(0)})
