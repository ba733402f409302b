from __future__ import annotations

import pytest

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
