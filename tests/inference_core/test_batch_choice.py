from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core import batch_choice
from inference_core.batch_choice import BatchTrial, best_size, choose_batch_size, frequent_shapes, probe_sizes
from inference_core.engines.onnx_engine import OnnxEngine
from inference_core.engines.protocol import Array, EngineFacts
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError
from inference_core.images import Limits
from inference_core.items import PreparedItem
from inference_core.preparer import Preparer
from inference_core.records import Uint8Array
from inference_core.runner import Runner
from inference_core.tasks.build import build_task
from tests.onnx_graphs import channel_means
from tests.specs import input_spec, model_spec

POISON = 255
NATIVE = {"fit": "native", "size_hw": None, "multiple_px": 8}


class Clock:
    """A clock that only forwards move.

    Args:
        batch_s: seconds of a batch of so many tiles.
    """

    def __init__(self, batch_s: Any) -> None:
        self.now_s = 0.0
        self.batch_s = batch_s

    def perf_counter(self) -> float:
        return self.now_s


class TimedEngine:
    """Channel means, in the time of a clock."""

    facts = EngineFacts(engine="torch", device="cpu", precision="fp32", num_threads=1)

    def __init__(self, clock: Clock, *, max_tiles: int = 10_000) -> None:
        self.clock = clock
        self.max_tiles = max_tiles

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        if len(batch) > self.max_tiles:
            raise DeviceMemoryError("out of memory")
        if (batch == POISON).all(axis=(1, 2, 3)).any():
            raise EngineError("cannot take this image")
        self.clock.now_s += self.clock.batch_s(len(batch), batch.shape[1])
        return {"scores": batch.mean(axis=(1, 2), dtype=np.float32) / 255}


def items_of(*sides: int, poisoned: int = 0) -> list[PreparedItem]:
    preparer = Preparer(input_spec(NATIVE), limits=Limits())
    random = np.random.default_rng(0)
    sources = [np.full((8, 8, 3), POISON, np.uint8)] * poisoned
    sources += [random.integers(0, 250, (side, 8, 3), np.uint8) for side in sides]
    return [preparer.prepare(source, image_id=str(index)) for index, source in enumerate(sources)]


def runner_of(engine: Any) -> Runner:
    return Runner(engine, build_task(model_spec({"output": {"activation": "none"}})), batch_size=16)


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sizes that are tried with a device of so many seconds a batch."""

    def run(batch_s: Any, *, max_tiles: int = 10_000, max_size: int = 512) -> list[BatchTrial]:
        clock = Clock(batch_s)
        monkeypatch.setattr(batch_choice, "time", clock)
        engine = TimedEngine(clock, max_tiles=max_tiles)
        tiles = [tile for item in items_of(*[8] * 3) if item.prepared for tile in item.prepared.tiles]
        return probe_sizes(runner_of(engine), tiles, max_size=max_size)

    return run


def test_sizes_are_tried_until_they_bring_nothing(probe: Any) -> None:
    trials = probe(lambda count, _: 0.001 * max(count, 16))  # as fast with 16 as with 1
    assert [trial.batch_size for trial in trials] == [1, 2, 4, 8, 16, 32, 64]
    assert trials[4].tiles_per_s == pytest.approx(1000)
    assert best_size(trials) == trials[4]


def test_one_size_that_brings_nothing_is_no_end(probe: Any) -> None:
    trials = probe(lambda count, _: 0.001 * (count if count < 4 else count / 2 if count < 16 else count / 4))
    assert [trial.batch_size for trial in trials] == [1, 2, 4, 8, 16, 32, 64]
    assert best_size(trials) == trials[4]


def test_what_does_not_fit_ends_the_trial(probe: Any) -> None:
    trials = probe(lambda count, _: 0.001, max_tiles=7)
    assert [(trial.batch_size, trial.refusal) for trial in trials] == [
        (1, ""),
        (2, ""),
        (4, ""),
        (8, "does not fit the device's memory"),
    ]
    assert best_size(trials) == trials[2]


@pytest.mark.parametrize(("max_size", "largest"), [(1, 1), (3, 2), (4, 4)])
def test_no_more_than_a_shard_is_tried(probe: Any, max_size: int, largest: int) -> None:
    assert probe(lambda count, _: 0.001, max_size=max_size)[-1].batch_size == largest


def test_a_slow_model_is_not_tried_for_ever(probe: Any) -> None:
    assert [trial.batch_size for trial in probe(lambda count, _: 10.0 * count**0.5)] == [1]
    assert [trial.batch_size for trial in probe(lambda count, _: 0.5 * count**0.5)] == [1, 2, 4]


def test_the_smaller_of_equally_fast_sizes_is_best() -> None:
    trials = [
        BatchTrial(tile_hw=(8, 8), batch_size=size, tiles_per_s=rate)
        for size, rate in [(1, 50.0), (2, 96.0), (4, 98.0), (8, 100.0)]
    ]
    assert best_size(trials) == trials[1]
    assert best_size([]) is None
    assert best_size([BatchTrial(tile_hw=(8, 8), batch_size=1, refusal="no")]) is None


def test_each_frequent_shape_has_a_size_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda count, height: 0.001 * max(count, 128 // height))
    monkeypatch.setattr(batch_choice, "time", clock)
    items = items_of(*[16] * 5, *[8] * 3, *[32] * 2, 64)
    choice = choose_batch_size(runner_of(TimedEngine(clock)), items)
    assert choice.size_of_shape == (((16, 8), 8), ((8, 8), 16), ((32, 8), 4))
    assert choice.batch_size == 16
    assert choice.reason.startswith("batch 8 of 16x8: 1,000 tiles/s; batch 16 of 8x8")
    assert {trial.tile_hw for trial in choice.table} == {(16, 8), (8, 8), (32, 8)}


def test_images_that_the_model_refuses_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(lambda count, _: 0.001)
    monkeypatch.setattr(batch_choice, "time", clock)
    choice = choose_batch_size(runner_of(TimedEngine(clock)), items_of(8, 8, poisoned=3), max_size=8)
    assert choice.batch_size == 8
    assert not any(trial.refusal for trial in choice.table)


@pytest.mark.parametrize("items", [[], items_of(poisoned=1)], ids=["none", "refused"])
def test_without_an_image_that_runs_a_number_is_asked_for(items: list[PreparedItem]) -> None:
    with pytest.raises(ConfigError, match="batch_size: must be a number where no image of the sample can be run"):
        choose_batch_size(runner_of(TimedEngine(Clock(lambda *_: 0.001))), items)


@pytest.mark.parametrize(("fixed", "text"), [(1, "takes 1 image at a time"), (3, "takes 3 images at a time")])
def test_a_graph_that_fixes_its_batch_says_so(fixed: int, text: str) -> None:
    engine = OnnxEngine(channel_means(batch=fixed), input_spec(), device="cpu", num_threads=1)
    choice = choose_batch_size(runner_of(engine), items_of(8))
    assert (choice.batch_size, choice.table) == (fixed, ())
    assert text in choice.reason


def test_shapes_come_by_their_number_of_tiles() -> None:
    shapes = frequent_shapes(items_of(8, 16, 16, 24, 24, 24, 32))
    assert [tiles[0].shape[0] for tiles in shapes] == [24, 16, 8]


def test_a_real_model_is_timed() -> None:
    engine = OnnxEngine(channel_means(), input_spec(), device="cpu", num_threads=1)
    choice = choose_batch_size(runner_of(engine), items_of(8, 8), max_size=4)
    assert choice.batch_size in (1, 2, 4)
    assert all(trial.tiles_per_s > 0 for trial in choice.table)
