"""Choose the batch size: time powers of two on tiles of the user's own images, on the device in use."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import numpy as np

from inference_core.engines.batching import run_batch
from inference_core.engines.fitting_sizes import FittingSizes
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError
from inference_core.items import PreparedItem
from inference_core.records import Uint8Array
from inference_core.runner import Runner

MAX_BATCH_SIZE = 512
"""Larger ones are not tried: no device gains from them what their memory costs."""
MIN_GAIN = 1.05
"""How many times as fast a larger batch must be: less is chance, and small batches need less memory."""
MAX_STILL = 2
"""So many doublings in a row that bring nothing end the trial."""
MAX_SHAPES = 3
"""Of a sample of many shapes the most frequent ones are tried."""
MAX_TILES = 64
"""Different tiles of a shape; a larger batch has some twice."""
MIN_TIMED_S = 0.15
"""Each size runs again until so much time has passed."""
MAX_PROBE_S = 6.0
"""A size that would take the trials of a shape beyond this is not tried; the first always is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTrial:
    """One size on tiles of one shape."""

    tile_hw: tuple[int, int]
    batch_size: int
    tiles_per_s: float = 0.0
    """Of whole forwards: from uint8 tiles on the CPU to reduced outputs there."""
    refusal: str = ""
    """Why it does not run; "" where it does."""

    def __str__(self) -> str:
        return f"batch {self.batch_size} of {self.tile_hw[0]}x{self.tile_hw[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchChoice:
    """What a run uses, and why."""

    batch_size: int
    size_of_shape: tuple[tuple[tuple[int, int], int], ...]
    """(h, w) of tiles that were tried, with the tiles of a forward, at most ``batch_size``."""
    reason: str
    table: tuple[BatchTrial, ...]
    """All that was tried, shape by shape."""


def choose_batch_size(runner: Runner, items: Sequence[PreparedItem], *, max_size: int = MAX_BATCH_SIZE) -> BatchChoice:
    """The smallest batch size that is about as fast as any.

    Args:
        runner: of the engine, precision and threads that will be used.
        items: prepared images of the kind that will be run; failed ones are left out.
        max_size: larger sizes are not tried.

    Raises:
        ConfigError: no item can be run.

    Cost: some seconds for each of up to three shapes of tiles.
    """
    if runner.members:
        raise ConfigError(
            "must be a number for an ensemble whose members are prepared differently, got auto; set it",
            key="batch_size",
        )
    fixed = runner.engine_facts.max_batch
    if fixed is not None:
        reason = f"batch size {fixed}: the model's graph takes {images_text(fixed)} at a time"
        return BatchChoice(batch_size=fixed, size_of_shape=(), reason=reason, table=())
    shapes = frequent_shapes(items)
    table = [trial for tiles in shapes for trial in probe_sizes(runner, tiles, max_size=max_size)]
    sizes = {trial.tile_hw: best_size([one for one in table if one.tile_hw == trial.tile_hw]) for trial in table}
    found = {tile_hw: trial for tile_hw, trial in sizes.items() if trial is not None}
    if not found:
        raise ConfigError(
            "must be a number where no image of the sample can be run; set it, or correct input", key="batch_size"
        )
    largest = max(found.values(), key=lambda trial: trial.batch_size)
    return BatchChoice(
        batch_size=largest.batch_size,
        size_of_shape=tuple((tile_hw, trial.batch_size) for tile_hw, trial in found.items()),
        reason="; ".join(f"{trial}: {trial.tiles_per_s:,.0f} tiles/s" for trial in found.values()),
        table=tuple(table),
    )


def images_text(count: int) -> str:
    """A number of images in words."""
    return "1 image" if count == 1 else f"{count} images"


def frequent_shapes(items: Sequence[PreparedItem]) -> list[list[Uint8Array]]:
    """Tiles of the most frequent shapes, the most frequent first; equally frequent ones as they come."""
    tiles_of: dict[tuple[int, ...], list[Uint8Array]] = {}
    for item in items:
        if item.prepared is not None:
            tiles_of.setdefault(item.prepared.tiles.shape[1:], []).extend(item.prepared.tiles)
    return sorted(tiles_of.values(), key=lambda tiles: -len(tiles))[:MAX_SHAPES]


def probe_sizes(runner: Runner, tiles: Sequence[Uint8Array], *, max_size: int = MAX_BATCH_SIZE) -> list[BatchTrial]:
    """Powers of two, timed until they bring no more, do not fit, or would take too long.

    Args:
        runner: runs the batches.
        tiles: (h, w, C) uint8 each, all of one shape, at least one; those that the model refuses are left out.
        max_size: largest size.

    Returns:
        One trial for each size; none where the model refuses every tile.
    """
    good = good_tiles(runner, tiles[:MAX_TILES])
    started = time.perf_counter()
    trials: list[BatchTrial] = []
    best, num_still, size = 0.0, 0, 1
    while good and size <= max_size and num_still < MAX_STILL:
        trial = time_size(runner, list(islice(cycle(good), size)))
        trials.append(trial)
        if trial.refusal:
            break
        num_still = 0 if trial.tiles_per_s > best * MIN_GAIN else num_still + 1
        best = max(best, trial.tiles_per_s)
        size *= 2
        # Twice: once to warm up, once on the clock.
        if time.perf_counter() - started + 2 * size / trial.tiles_per_s > MAX_PROBE_S:
            break
    return trials


def good_tiles(runner: Runner, tiles: Sequence[Uint8Array]) -> list[Uint8Array]:
    """Tiles that the model takes, asked one by one for as long as one on the clock may take."""
    good: list[Uint8Array] = []
    started = time.perf_counter()
    for tile in tiles:
        (outcome,) = run_batch([tile], runner.forward, sizes=FittingSizes(1))
        if isinstance(outcome, dict):
            good.append(tile)
        if good and time.perf_counter() - started > MIN_TIMED_S:
            break
    return good


def time_size(runner: Runner, tiles: Sequence[Uint8Array]) -> BatchTrial:
    """Forward a batch until MIN_TIMED_S have passed; the best time counts, which others disturbed least."""
    height, width, _ = tiles[0].shape
    trial = BatchTrial(tile_hw=(height, width), batch_size=len(tiles))
    times_s: list[float] = []
    try:
        runner.forward(np.stack(tiles))
        while sum(times_s) < MIN_TIMED_S:
            started = time.perf_counter()
            runner.forward(np.stack(tiles))
            times_s.append(time.perf_counter() - started)
    except DeviceMemoryError:
        return replace(trial, refusal="does not fit the device's memory")
    except EngineError as exc:
        return replace(trial, refusal=f"the model refused it: {exc}")
    return replace(trial, tiles_per_s=len(tiles) / min(times_s))


def best_size(trials: Sequence[BatchTrial]) -> BatchTrial | None:
    """The smallest size within MIN_GAIN of the fastest; None where nothing ran."""
    ran = [trial for trial in trials if not trial.refusal]
    fastest = max((trial.tiles_per_s for trial in ran), default=0.0)
    return next((trial for trial in ran if trial.tiles_per_s * MIN_GAIN >= fastest), None)
