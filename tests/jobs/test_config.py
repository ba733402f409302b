from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.config import DEFAULT_LIMITS, JobConfig, LimitsConfig

REQUIRED: dict[str, Any] = {"model": "m", "input": "in", "output": "out"}


def job(**changes: Any) -> JobConfig:
    return JobConfig.model_validate(REQUIRED | changes)


def test_one_input_may_stand_alone() -> None:
    assert job(input="a").input == job(input=["a"]).input == ("a",)


def test_the_limits_of_a_job_are_those_of_the_core_unless_set() -> None:
    assert LimitsConfig().to_limits() == DEFAULT_LIMITS
    changed = LimitsConfig(max_bytes=1, max_pixels=2, max_side_px=3, max_frames=4).to_limits()
    assert (changed.max_bytes, changed.max_pixels, changed.max_side_px, changed.max_frames) == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": []}, "must name at least one folder"),
        ({"input": [""]}, "at least 1 character"),
        ({"model": ""}, "at least 1 character"),
        ({"output": ""}, "at least 1 character"),
        ({"max_error_frac": 1.5}, "less than or equal to 1"),
        ({"max_error_frac": float("nan")}, "less than or equal to 1"),
        ({"limits": {"max_bytes": 0}}, "greater than 0"),
        ({"results": {"masks": "jpg"}}, "'rle', 'none' or 'auto'"),
        ({"execution": {"layout": "both"}}, "'auto', 'split' or 'whole'"),
        ({"execution": {"device": "cuda:1"}}, "pattern"),
        ({"execution": {"no_progress_timeout_s": 0}}, "greater than 0"),
        ({"execution": {"actors": 0}}, "greater than 0"),
        ({"exectuion": {}}, "Extra inputs"),
    ],
)
def test_a_wrong_setting_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        job(**changes)
