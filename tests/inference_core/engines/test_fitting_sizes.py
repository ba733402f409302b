from __future__ import annotations

import logging

import pytest

from inference_core.engines.fitting_sizes import MAX_RETRY_AFTER, RETRY_AFTER, FittingSizes

SHAPE, OTHER = (8, 8, 3), (16, 8, 3)


def fit(sizes: FittingSizes, times: int) -> None:
    """So many full forwards in a row that fit."""
    for _ in range(times):
        sizes.note_fit(SHAPE, sizes.size_of(SHAPE))


def test_what_is_asked_for_is_used_while_it_fits() -> None:
    sizes = FittingSizes(64)
    fit(sizes, 100)
    assert (sizes.size_of(SHAPE), sizes.size_of(OTHER), sizes.num_oom_halvings) == (64, 64, 0)


def test_a_shape_may_have_a_size_of_its_own_but_none_above_all() -> None:
    sizes = FittingSizes(64, of_shape={(8, 8): 16, (16, 8): 128})
    assert (sizes.size_of(SHAPE), sizes.size_of(OTHER), sizes.size_of((9, 9, 1))) == (16, 64, 64)


def test_a_lowered_size_holds_for_its_shape_alone_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    sizes = FittingSizes(64)
    with caplog.at_level(logging.WARNING):
        sizes.note_limit(SHAPE, 8)
        sizes.note_limit(SHAPE, 4)
    assert (sizes.size_of(SHAPE), sizes.size_of(OTHER)) == (4, 64)
    assert caplog.messages == ["64 tiles of 8x8 do not fit the device's memory; going on with 8"]


def test_twice_as_many_are_tried_after_some_that_fitted_up_to_all() -> None:
    sizes = FittingSizes(20)
    sizes.note_limit(SHAPE, 5)
    seen = []
    for _ in range(3):
        fit(sizes, RETRY_AFTER - 1)
        seen.append(sizes.size_of(SHAPE))
        fit(sizes, 1)
    assert seen == [5, 10, 20]
    assert sizes.size_of(SHAPE) == 20


def test_a_part_of_a_batch_says_nothing() -> None:
    sizes = FittingSizes(64)
    sizes.note_limit(SHAPE, 8)
    for _ in range(10 * RETRY_AFTER):
        sizes.note_fit(SHAPE, 7)
    assert sizes.size_of(SHAPE) == 8


def test_trials_that_fail_become_rare() -> None:
    sizes = FittingSizes(64)
    sizes.note_limit(SHAPE, 8)
    waits = []
    for _ in range(8):
        wait = 0
        while sizes.size_of(SHAPE) == 8:
            fit(sizes, 1)
            wait += 1
        waits.append(wait)
        sizes.note_limit(SHAPE, 8)
    assert waits == [16, 32, 64, 128, 256, 512, 512, 512]
    assert (waits[0], waits[-1]) == (RETRY_AFTER, MAX_RETRY_AFTER)


def test_a_trial_that_succeeds_makes_the_next_one_soon_again() -> None:
    sizes = FittingSizes(64)
    sizes.note_limit(SHAPE, 8)
    fit(sizes, RETRY_AFTER)
    sizes.note_limit(SHAPE, 8)
    fit(sizes, 2 * RETRY_AFTER)  # 16 are tried, and fit
    fit(sizes, RETRY_AFTER)
    assert sizes.size_of(SHAPE) == 32
