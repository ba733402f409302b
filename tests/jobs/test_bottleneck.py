from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.bottleneck import STAGES_OF_POOL, WAITING, WORK, Bottleneck, Workers, find_bottleneck

NOTHING = dict.fromkeys(WORK, 0.0)
WHOLE = Workers(layout="whole", actors=4, num_cores=4)
SPLIT = Workers(layout="split", actors=2, prepare_tasks=13, commit_tasks=1, num_cores=16, num_gpus=2)


def find(
    workers: Workers, *, wall_s: float = 10.0, levers: dict[str, str] | None = None, **stage_s: float
) -> Bottleneck:
    pools = STAGES_OF_POOL[workers.layout]
    return find_bottleneck(
        {**NOTHING, **stage_s},
        workers,
        pool_s={pool: workers.slots(pool) * wall_s for pool in pools},
        images_per_s=100.0,
        levers=levers or {},
    )


@pytest.mark.parametrize(
    ("workers", "stage_s", "expected"),
    [
        pytest.param(WHOLE, {}, WAITING, id="nothing-was-done"),
        pytest.param(WHOLE, {"infer": 30, "prepare": 6}, "infer", id="whole-infers"),
        pytest.param(WHOLE, {"infer": 6, "prepare": 30}, "prepare", id="whole-prepares"),
        pytest.param(WHOLE, {"fetch": 30, "prepare": 6}, "fetch", id="whole-fetches"),
        pytest.param(WHOLE, {"write": 30, "prepare": 6}, "write", id="whole-writes"),
        pytest.param(WHOLE, {"infer": 15, "prepare": 5}, WAITING, id="half-the-time-nobody-worked"),
        pytest.param(SPLIT, {"prepare": 120, "infer": 8}, "prepare", id="split-where-gpus-wait"),
        pytest.param(SPLIT, {"prepare": 60, "infer": 19}, "infer", id="split-where-gpus-are-busy"),
        pytest.param(SPLIT, {"fetch": 80, "prepare": 40, "infer": 8}, "fetch", id="split-that-waits-for-storage"),
        pytest.param(SPLIT, {"prepare": 60, "infer": 8, "write": 9}, "write", id="split-where-nobody-commits"),
        pytest.param(SPLIT, {"prepare": 30, "infer": 4}, WAITING, id="split-that-hardly-ran"),
    ],
)
def test_the_stage_that_holds_a_run_back(workers: Workers, stage_s: dict[str, float], expected: str) -> None:
    found = find(workers, **stage_s)
    assert found.stage == expected
    assert found.sentence.startswith(f"{expected} held the run back: ")


def test_the_figures_are_shares_of_the_workers_time() -> None:
    found = find(WHOLE, infer=30.0, prepare=6.0)
    assert found.busy_frac == {"workers": 0.9}
    assert "75% of the 40.0 s of 4 workers (prepare 15%" in found.sentence
    assert "waiting 10%)" in found.sentence


@pytest.mark.parametrize("num_gpus", [0, 2])
def test_pools_that_were_not_full_are_named_too(num_gpus: int) -> None:
    workers = Workers(layout="split", actors=2, prepare_tasks=13, commit_tasks=1, num_cores=16, num_gpus=num_gpus)
    found = find(workers, prepare=120.0, infer=8.0)
    assert f"{'GPU' if num_gpus else 'inferring'} actors were busy 40%" in found.sentence


@pytest.mark.parametrize(
    ("num_gpus", "expected"),
    [
        pytest.param(0, "1 more core for inferring would", id="a-core"),
        pytest.param(1, "1 more GPU would", id="a-gpu"),
    ],
)
def test_one_of_a_thing_is_told_as_one(num_gpus: int, expected: str) -> None:
    alone = find(Workers(layout="whole", actors=1, num_cores=1), infer=9.0)
    assert "of the 10.0 s of 1 worker (" in alone.sentence
    workers = Workers(layout="split", actors=1, prepare_tasks=4, commit_tasks=1, num_cores=6, num_gpus=num_gpus)
    assert expected in find(workers, infer=9.0, prepare=10.0).advice


def test_half_the_time_of_a_stage_gives_the_rate_of_amdahl() -> None:
    # A stage of 80 % at half its time leaves 60 % of it: 100 / 0.6.
    assert "with infer at half its time 167 images/s instead of 100" in find(WHOLE, infer=32.0).advice


@pytest.mark.parametrize(
    ("stage_s", "expected"),
    [
        pytest.param({"prepare": 130, "infer": 5}, "6.5 more CPU cores per GPU would double the rate", id="double"),
        # The GPUs are half as busy as would be too much: 13 tasks do 1.25 times as much with 3 more.
        pytest.param(
            {"prepare": 130, "infer": 16},
            "1.5 more CPU cores per GPU would raise it 1.25 times, up to what infer",
            id="less",
        ),
        pytest.param({"prepare": 60, "infer": 20}, "2 more GPUs would double the rate", id="gpus"),
    ],
)
def test_more_of_the_pool_that_is_full_raises_the_rate_up_to_the_next(stage_s: dict[str, float], expected: str) -> None:
    assert expected in find(SPLIT, **stage_s).advice


def test_what_can_be_changed_comes_first() -> None:
    assert find(WHOLE, infer=32.0, levers={"infer": "a faster engine"}).advice.startswith("a faster engine; with infer")
    waited = find(WHOLE, infer=4.0, levers={WAITING: "more images", "infer": "a faster engine"}).advice
    assert waited == "more images; of the work itself infer takes the most: a faster engine"


@given(
    seconds=st.lists(st.floats(0, 100), min_size=len(WORK), max_size=len(WORK)),
    layout=st.sampled_from(["whole", "split"]),
    scale=st.sampled_from([0.5, 2.0, 1024.0]),
)
def test_the_unit_of_time_changes_nothing(seconds: list[float], layout: str, scale: float) -> None:
    workers: dict[str, Any] = {"layout": layout, "actors": 3, "prepare_tasks": 5, "commit_tasks": 2, "num_cores": 8}
    first = find(Workers(**workers), wall_s=40.0, **dict(zip(WORK, seconds, strict=True)))
    second = find(
        Workers(**workers), wall_s=40.0 * scale, **{stage: s * scale for stage, s in zip(WORK, seconds, strict=True)}
    )
    assert first.stage == second.stage
    assert first.advice == second.advice
