from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inference_core.stats.summary import Summary
from inference_core.stats.timings import STAGES, Timings
from jobs.attempts import AttemptRecord
from jobs.work_done import found_bottleneck, seconds_by_pool, seconds_by_stage


def timings(**ms: list[float]) -> Timings:
    return Timings.of({stage: np.asarray(ms.get(stage, []), np.float64) for stage in STAGES})


def summary(times: Timings) -> Summary:
    return replace(Summary.empty(task="classification", class_names=("a",)), timings=times)


def attempt(started_s: float = 0.0, **changes: Any) -> AttemptRecord:
    facts = {"layout": "whole", "layout_reason": "", "actors": 2, "num_cores": 2, "versions": {}, **changes}
    return AttemptRecord(started_s=started_s, **facts)


def test_writing_is_what_the_verbs_leave_of_an_attempt() -> None:
    times, spans_s = timings(fetch=[500.0], prepare=[1500.0], infer=[2000.0], finish=[1000.0]), [(0.0, 4.0), (0.0, 2.0)]
    assert seconds_by_stage(times, spans_s, layout="whole")["write"] == pytest.approx(1.0)
    # Of the split layout an attempt is the last verb and the writing.
    assert seconds_by_stage(times, spans_s, layout="split")["write"] == pytest.approx(5.0)


def test_times_that_belong_to_no_attempt_leave_no_negative_rest() -> None:
    assert seconds_by_stage(timings(infer=[9000.0]), [(0.0, 1.0)], layout="whole")["write"] == 0.0


def test_each_attempt_counts_with_its_own_workers() -> None:
    attempts = [attempt(0.0, actors=2), attempt(100.0, actors=4)]
    assert seconds_by_pool(attempts, {0.0: 10.0, 100.0: 5.0}, layout="whole") == {"workers": 40.0}


def test_a_run_without_attempts_says_nothing() -> None:
    assert found_bottleneck(summary(timings()), [(0.0, 1.0)], []) is None


def test_the_advice_is_that_of_the_last_attempt() -> None:
    found = found_bottleneck(
        summary(timings(infer=[16_000.0])),
        [(0.0, 10.0), (0.0, 10.0)],
        [attempt(0.0, levers={"infer": "an engine of another kind"})],
    )
    assert found is not None
    assert found.stage == "infer"
    assert "80% of the 20.0 s of 2 workers" in found.sentence
    assert found.advice.startswith("an engine of another kind")
