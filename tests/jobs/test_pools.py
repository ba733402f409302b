from __future__ import annotations

import pytest
from pydantic import ValidationError

from jobs.pools import Pools

WHOLE = {
    "layout": "whole",
    "actors": 1,
    "prepare_tasks": 0,
    "actor_gpus": 0.0,
    "actor_cpus": 1.0,
    "prepare_cpus": 0.0,
    "commit_cpus": 0.0,
}


@pytest.mark.parametrize("change", [{"actors": 0}, {"actor_cpus": -1}, {"layout": "auto"}, {"more": 1}], ids=str)
def test_impossible_pools_are_refused(change: dict[str, object]) -> None:
    assert Pools.model_validate(WHOLE).actors == 1
    with pytest.raises(ValidationError):
        Pools.model_validate(WHOLE | change)
