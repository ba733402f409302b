from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.engines.batching import Outputs, cut_batches, run_batch
from inference_core.engines.fitting_sizes import FittingSizes
from inference_core.errors import DeviceMemoryError, EngineError, InferError, InputError, OutOfMemoryError
from inference_core.records import Uint8Array

POISON, NOT_FINITE = 255, 254


def tiles_of(*values: int) -> list[Uint8Array]:
    tiles = [np.full((2, 2, 3), value, np.uint8) for value in values]
    for tile in tiles:
        tile.setflags(write=False)
    return tiles


class Forward:
    """Gives back the value that a tile is full of; cannot take more than ``max_tiles``, and no poison."""

    def __init__(self, *, max_tiles: int = 1000) -> None:
        self.max_tiles = max_tiles
        self.batch_sizes: list[int] = []

    def __call__(self, batch: Uint8Array) -> Outputs:
        values = batch[:, 0, 0, 0]
        self.batch_sizes.append(len(batch))
        if len(batch) > self.max_tiles:
            raise DeviceMemoryError("CUDA out of memory")
        if POISON in values:
            raise EngineError("cannot take this")
        return {"value": values.astype(np.float32), "finite": values != NOT_FINITE}


def run_tiles(
    tiles: list[Uint8Array],
    forward: Callable[[Uint8Array], Outputs],
    *,
    batch_size: int,
    sizes: FittingSizes | None = None,
) -> list[Outputs | InputError]:
    """All tiles, batch by batch."""
    sizes = sizes or FittingSizes(batch_size)
    return [result for batch in cut_batches(tiles, sizes) for result in run_batch(batch, forward, sizes=sizes)]


def values_of(results: list[Outputs | InputError]) -> list[Any]:
    return [result["value"].item() if isinstance(result, dict) else type(result) for result in results]


@pytest.mark.parametrize(
    ("count", "batch_size", "batch_sizes"),
    [
        pytest.param(0, 4, [], id="nothing"),
        pytest.param(1, 4, [1], id="one"),
        pytest.param(4, 4, [4], id="a-full-batch"),
        pytest.param(9, 4, [4, 4, 1], id="a-rest"),
        pytest.param(3, 1, [1, 1, 1], id="one-by-one"),
    ],
)
def test_micro_batches(count: int, batch_size: int, batch_sizes: list[int]) -> None:
    forward = Forward()
    assert values_of(run_tiles(tiles_of(*range(count)), forward, batch_size=batch_size)) == list(range(count))
    assert forward.batch_sizes == batch_sizes


@pytest.mark.parametrize(
    ("max_tiles", "batch_sizes"),
    [
        pytest.param(7, [8, 4, 4], id="halved-once"),
        pytest.param(3, [8, 4, 2, 2, 2, 2], id="halved-twice"),
        pytest.param(1, [8, 4, 2, *[1] * 8], id="down-to-one"),
    ],
)
def test_a_batch_that_does_not_fit_is_halved(max_tiles: int, batch_sizes: list[int]) -> None:
    forward = Forward(max_tiles=max_tiles)
    assert values_of(run_tiles(tiles_of(*range(8)), forward, batch_size=8)) == list(range(8))
    assert forward.batch_sizes == batch_sizes


def test_the_size_that_fitted_is_kept_and_raised_again() -> None:
    forward = Forward(max_tiles=8)
    sizes = FittingSizes(64)
    tiles = tiles_of(*[1] * 64)
    run_tiles(tiles, forward, batch_size=64, sizes=sizes)
    assert forward.batch_sizes == [64, 32, 16, *[8] * 8]
    assert sizes.num_oom_halvings == 3
    forward.batch_sizes.clear()
    run_tiles(tiles, forward, batch_size=64, sizes=sizes)
    assert forward.batch_sizes == [8] * 8  # nothing is tried in vain
    forward.max_tiles = 64  # who had the memory is gone
    forward.batch_sizes.clear()
    for _ in range(30):
        run_tiles(tiles, forward, batch_size=64, sizes=sizes)
    assert forward.batch_sizes[-1] == 64
    assert max(forward.batch_sizes[:8]) == 8
    assert sizes.num_oom_halvings == 3


class HeavyForward(Forward):
    """One value does not fit even alone."""

    def __call__(self, batch: Uint8Array) -> Outputs:
        if POISON in batch[:, 0, 0, 0]:
            self.batch_sizes.append(len(batch))
            raise DeviceMemoryError("CUDA out of memory")
        return super().__call__(batch)


@pytest.mark.parametrize("heavy", [0, 41, 63])
def test_one_image_that_never_fits_lowers_nothing_for_the_others(heavy: int) -> None:
    values = [POISON if index == heavy else index for index in range(64)]
    forward, sizes = HeavyForward(), FittingSizes(64)
    results = run_tiles(tiles_of(*values, *range(64)), forward, batch_size=64, sizes=sizes)
    expected = [OutOfMemoryError if index == heavy else index for index in range(64)]
    assert values_of(results) == [*expected, *range(64)]
    assert len(forward.batch_sizes) <= 1 + 2 * 6 + 1
    assert forward.batch_sizes[-1] == 64


def test_images_of_which_none_fits_are_not_tried_together_for_ever() -> None:
    forward, sizes = Forward(max_tiles=0), FittingSizes(8)
    results = run_tiles(tiles_of(*range(16)), forward, batch_size=8, sizes=sizes)
    assert values_of(results) == [OutOfMemoryError] * 16
    assert forward.batch_sizes[-8:] == [1] * 8


def test_an_image_that_does_not_fit_alone() -> None:
    (error,) = run_tiles(tiles_of(1), Forward(max_tiles=0), batch_size=4)
    assert isinstance(error, OutOfMemoryError)
    assert error.status == "oom"
    assert str(error) == "the image does not fit the device's memory even alone; lower its size"


def test_one_poisonous_image_hurts_only_itself() -> None:
    values = [POISON if index == 41 else index for index in range(64)]
    forward = Forward()
    results = run_tiles(tiles_of(*values), forward, batch_size=64)
    assert values_of(results) == [InferError if index == 41 else index for index in range(64)]
    assert str(results[41]) == "the model refused the image: cannot take this"
    assert len(forward.batch_sizes) == 1 + 2 * 6  # both halves at each of the six levels to a single image


def test_an_output_that_is_not_finite_is_an_error_of_its_image() -> None:
    results = run_tiles(tiles_of(1, NOT_FINITE, 3), Forward(), batch_size=4)
    assert values_of(results) == [1, InferError, 3]
    assert "the model's output is not finite; check the weights, or use a higher precision" in str(results[1])


@given(
    values=st.lists(st.sampled_from([0, 1, 2, POISON, NOT_FINITE]), max_size=20),
    batch_size=st.integers(1, 8),
    max_tiles=st.integers(1, 8),
)
def test_every_image_gets_its_own_answer_however_batches_fall(
    values: list[int], batch_size: int, max_tiles: int
) -> None:
    results = run_tiles(tiles_of(*values), Forward(max_tiles=max_tiles), batch_size=batch_size)
    expected = [InferError if value in (POISON, NOT_FINITE) else value for value in values]
    assert values_of(results) == expected


@pytest.mark.parametrize("error", [DeviceMemoryError, EngineError])
def test_the_memory_of_a_failed_forward_is_free_before_the_next(error: type[Exception]) -> None:
    held: list[weakref.ref[Uint8Array]] = []

    def forward(batch: Uint8Array) -> Outputs:
        assert all(reference() is None for reference in held), "the failed batch is still in memory"
        activations = np.zeros((len(batch), 4), np.uint8)
        held.append(weakref.ref(activations))
        if len(batch) > 1:
            raise_from_within(activations)
        return {"value": activations[:, 0].copy(), "finite": np.ones(len(batch), bool)}

    def raise_from_within(activations: Uint8Array) -> None:
        try:
            raise RuntimeError(f"out of memory after {activations.nbytes}")
        except RuntimeError as exc:
            raise error(str(exc)) from exc

    assert len(run_tiles(tiles_of(1, 2, 3, 4), forward, batch_size=4)) == 4


def test_a_bug_is_not_taken_for_a_bad_image() -> None:
    def forward(batch: Uint8Array) -> Outputs:
        raise KeyError("bug")

    failing: Callable[[Uint8Array], Outputs] = forward
    with pytest.raises(KeyError, match="bug"):
        run_tiles(tiles_of(1, 2), failing, batch_size=2)
