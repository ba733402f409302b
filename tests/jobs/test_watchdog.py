from __future__ import annotations

import pytest

from inference_core.errors import StorageError
from jobs.watchdog import PipelineState, StalledError, Watchdog

STATE = PipelineState(num_in_work=2, lines=["Whole: 2 calls, actors: 1 running"])


class Log:
    """What a watchdog looks at and writes."""

    def __init__(self, *left: int) -> None:
        self.left = list(left)
        self.noted: list[int] = []

    def watchdog(self, timeout_s: float) -> Watchdog:
        return Watchdog(
            timeout_s, shard_ids=list(self.left), find_left=lambda: self.left, note=lambda ids: self.noted.extend(ids)
        )


def test_a_run_without_commits_is_ended_and_its_shards_are_noted() -> None:
    log = Log(7, 3, 5)
    watchdog = log.watchdog(0)
    with pytest.raises(StalledError, match=r"within 0 s, got none while 3 are left; in work are shards 7, 3 \(Whole"):
        watchdog.check(lambda: STATE)
    assert log.noted == [7, 3]
    assert watchdog.error is not None
    watchdog.check(lambda: STATE)  # once is enough


def test_before_its_time_nothing_is_looked_at() -> None:
    watchdog = Watchdog(1e6, shard_ids=[1], find_left=lambda: 1 / 0, note=print)  # type: ignore[arg-type, return-value]
    watchdog.check(lambda: STATE)


def test_commits_of_others_count() -> None:
    log = Log(1, 2)
    watchdog = log.watchdog(0)
    log.left.remove(1)
    watchdog.check(lambda: STATE)
    assert watchdog.error is None
    with pytest.raises(StalledError):
        watchdog.check(lambda: STATE)
    assert log.noted == [2]


def test_a_commit_that_was_told_is_no_progress_twice() -> None:
    log = Log(1, 2)
    watchdog = log.watchdog(0)
    log.left.remove(1)
    watchdog.touch([1])
    with pytest.raises(StalledError):
        watchdog.check(lambda: STATE)


def test_a_run_that_only_ends_slowly_is_left_alone() -> None:
    log = Log(1)
    watchdog = log.watchdog(0)
    log.left.clear()
    watchdog.touch([1])
    watchdog.check(lambda: STATE)
    assert watchdog.error is None


def test_many_shards_are_not_all_named() -> None:
    log = Log(*range(30))
    with pytest.raises(StalledError, match=r"shards 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\. \("):
        log.watchdog(0).check(lambda: PipelineState(num_in_work=20, lines=[]))
    assert log.noted == list(range(20))


# Where Ray hangs and nobody can raise


def test_while_its_time_is_not_over_ray_is_left_alone() -> None:
    assert Log(1).watchdog(0).find_stuck(1e6) is None


def test_ray_that_gives_nothing_is_stuck() -> None:
    found = Log(1, 2).watchdog(0).find_stuck(0)
    assert found is not None
    assert "Ray must give a shard or an error within 0 s, got neither, and 2 shards are left" in found


def test_ray_that_does_not_end_is_stuck() -> None:
    log = Log(1)
    watchdog = log.watchdog(0)
    watchdog.touch([1])
    log.left.clear()
    assert "0 shards are left" in str(watchdog.find_stuck(0))


def test_what_was_raised_and_did_not_arrive_is_said() -> None:
    watchdog = Log(1).watchdog(0)
    with pytest.raises(StalledError) as caught:
        watchdog.check(lambda: STATE)
    assert watchdog.find_stuck(0) == str(caught.value)
    assert watchdog.find_stuck(1e6) is None, "it may be under way"


def test_commits_of_others_show_that_it_goes_on() -> None:
    log = Log(1, 2)
    watchdog = log.watchdog(0)
    log.left.remove(1)
    assert watchdog.find_stuck(0) is None
    assert watchdog.find_stuck(0) is not None


def test_a_commit_log_that_cannot_be_read_is_told_of() -> None:
    def find_left() -> list[int]:
        raise StorageError("no answer", uri="s3://bucket")

    watchdog = Watchdog(0, shard_ids=[1], find_left=find_left, note=print)
    assert "the commit log cannot be read either (no answer)" in str(watchdog.find_stuck(0))
