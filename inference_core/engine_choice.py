"""Time the engines that can run a package on images of the user's, and compare their answers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.agreement import disagreement, largest_difference
from inference_core.engines.build import build_engine, resolve_place
from inference_core.engines.choose import EngineChoice, Measurement, choose, list_candidates
from inference_core.engines.protocol import Engine, EngineName, Precision
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.finisher import Finisher
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_finisher
from inference_core.records import Prediction, PreparedItem
from inference_core.runner import Runner, to_numpy
from inference_core.tasks.build import build_task

__all__ = ["EngineChoice", "Measurement", "choose_engine"]  # the records too: jobs enter no engine module

MIN_TIMED_S = 0.3
"""Each candidate runs the sample again until so much time has passed."""
MAX_ROUND_S = 2.0
"""Of a larger sample only so many images are used as the reference runs in this time, and one batch at least."""


def choose_engine(
    package: ModelPackage,
    items: Sequence[PreparedItem],
    *,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int,
    num_threads: int = 1,
) -> EngineChoice:
    """The fastest engine and precision whose answers are those of the format's own engine in fp32.

    Args:
        package: as read.
        items: prepared images of the kind that will be run; failed ones are left out.
        device: auto, cpu or cuda:N.
        precision: auto, or the only one to try beside the reference.
        batch_size: images per forward.
        num_threads: CPU threads of one forward.

    Raises:
        ConfigError: no item can be run, or the format's own engine cannot be had.
        ModelError: the model does not work.

    Cost: loads the model once for each candidate, and runs the items a few times.
    """
    usable = [item for item in items if item.prepared is not None]
    if not usable:
        raise ConfigError(
            "must be named where no image of the sample can be read; set it, or correct input", key="engine"
        )
    place = resolve_place(package, device=device, engine="default")
    trial = Trial(package, usable, device=place, batch_size=batch_size, num_threads=num_threads)
    candidates = list_candidates(package.spec.format, device=place, precision=precision)
    if not candidates:
        build_engine(package, device=place, precision="fp32", num_threads=num_threads)  # its error names the extra
    reference, *others = candidates
    table = [trial.measure_reference(*reference), *(trial.measure(*other) for other in others)]
    return choose(tuple(table))


class Trial:
    """Candidates on one sample, each compared with the reference, which is measured first."""

    def __init__(
        self, package: ModelPackage, items: Sequence[PreparedItem], *, device: str, batch_size: int, num_threads: int
    ) -> None:
        self._package = package
        self._items = items
        self._device = device
        self._batch_size = batch_size
        self._num_threads = num_threads
        self._finisher: Finisher = build_finisher(package)
        self._outputs: Mapping[str, NDArray[Any]] = {}
        self._answers: Sequence[Prediction] = ()

    @property
    def num_images(self) -> int:
        """Of the sample that is used."""
        return len(self._items)

    def measure_reference(self, engine: EngineName, precision: Precision) -> Measurement:
        """Time the engine that the others are compared with, and keep its answers."""
        built = self._build(engine, precision)
        self._outputs = self._raw_outputs(built)
        self._shorten_sample(built)
        self._answers = self._predict(built)
        return Measurement(engine=engine, precision=precision, images_per_s=self._rate(built))

    def measure(self, engine: EngineName, precision: Precision) -> Measurement:
        """Time a candidate and compare it; one that does not run says why."""
        unmeasured = Measurement(engine=engine, precision=precision)
        try:
            built = self._build(engine, precision)
            outputs, answers = self._raw_outputs(built), self._predict(built)
        except (ConfigError, DeviceMemoryError, EngineError, ModelError) as exc:
            return replace(unmeasured, refusal=str(exc))
        return replace(
            unmeasured,
            images_per_s=self._rate(built),
            max_difference=largest_difference(self._outputs, outputs),
            flips_frac=float(np.mean([disagreement(*pair) for pair in zip(self._answers, answers, strict=True)])),
            is_finite=all(new.is_ok for old, new in zip(self._answers, answers, strict=True) if old.is_ok),
        )

    def _shorten_sample(self, engine: Engine) -> None:
        """Keep what the reference runs in MAX_ROUND_S, told from its first batch."""
        runner = self._runner(engine)
        first = self._items[: self._batch_size]
        started = time.perf_counter()
        runner.infer(first)
        num_batches = int(MAX_ROUND_S / (time.perf_counter() - started))
        self._items = self._items[: max(num_batches, 1) * self._batch_size]

    def _build(self, engine: EngineName, precision: Precision) -> Engine:
        return build_engine(
            self._package, device=self._device, precision=precision, num_threads=self._num_threads, engine=engine
        )

    def _runner(self, engine: Engine) -> Runner:
        return Runner(engine, build_task(self._package.spec), batch_size=self._batch_size)

    def _raw_outputs(self, engine: Engine) -> dict[str, NDArray[Any]]:
        """Of the first image's tiles alone, one at a time where the graph fixes its batch."""
        prepared = self._items[0].prepared
        assert prepared is not None, "a trial has items that can be run"
        tiles = prepared.tiles[: engine.facts.max_batch or len(prepared.tiles)]
        return {name: to_numpy(output) for name, output in engine.run(tiles).items()}

    def _predict(self, engine: Engine) -> list[Prediction]:
        return [self._finisher.finish(raw) for raw in self._runner(engine).infer(self._items)]

    def _rate(self, engine: Engine) -> float:
        """Images per second of the best of several rounds, which others on the machine disturbed least."""
        runner = self._runner(engine)
        times_s: list[float] = []
        while sum(times_s) < MIN_TIMED_S:
            started = time.perf_counter()
            runner.infer(self._items)
            times_s.append(time.perf_counter() - started)
        return len(self._items) / min(times_s)
