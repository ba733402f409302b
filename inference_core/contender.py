"""A package loaded on one engine: run on a sample, timed, and compared with another that answers the same images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core.agreement import disagreement
from inference_core.engines.protocol import EngineName, Precision
from inference_core.enhance.build import build_package_engine
from inference_core.enhance.member_engines import MemberEngines
from inference_core.items import Prediction, PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_finisher
from inference_core.runner import Runner, to_numpy
from inference_core.tasks.build import build_task


class Contender:
    """One package on one engine, with the model loaded.

    Args:
        package: as read.
        engine: runs its format and is installed.
        device: cpu or cuda:N.
        precision: of the arithmetic.
        batch_size: images per forward.
        num_threads: CPU threads of one forward.

    Raises:
        ConfigError: the engine or the precision cannot be had.
        ModelError: the model does not load.
    """

    def __init__(
        self,
        package: ModelPackage,
        engine: EngineName,
        *,
        device: str,
        precision: Precision,
        batch_size: int,
        num_threads: int,
    ) -> None:
        self._engine = build_package_engine(
            package, device=device, precision=precision, num_threads=num_threads, engine=engine
        )
        self._runner = Runner(self._engine, build_task(package.spec, code=package.code), batch_size=batch_size)
        self._finisher = build_finisher(package)

    def raw_outputs(self, item: PreparedItem) -> dict[str, NDArray[Any]]:
        """What the model gives for one image's tiles; no more of them than go into one forward.

        Raises:
            DeviceMemoryError: they do not fit the device.
            EngineError: the model refused them.
        """
        engines = [(self._engine, 0)]
        if isinstance(self._engine, MemberEngines):
            engines = [(member.engine, member.block) for member in self._engine.members]
        outputs: dict[str, NDArray[Any]] = {}
        for index, (engine, block) in enumerate(engines):
            tiles = item.blocks[block].tiles[: engine.facts.max_batch or self._runner.batch_size]
            found = {name: to_numpy(output) for name, output in engine.run(tiles).items()}
            outputs |= {f"{index}.{name}": array for name, array in found.items()} if len(engines) > 1 else found
        return outputs

    def predict(self, items: Sequence[PreparedItem]) -> list[Prediction]:
        """The answers to all items, in order."""
        return [self._finisher.finish(raw) for raw in self._runner.infer(items)]

    def time_pass(self, items: Sequence[PreparedItem]) -> float:
        """Seconds of the second verb alone over all items."""
        started = time.perf_counter()
        self._runner.infer(items)
        return time.perf_counter() - started


def shorten_sample(
    contender: Contender, items: Sequence[PreparedItem], *, max_s: float, batch_size: int
) -> Sequence[PreparedItem]:
    """The first items, as many as a contender runs in ``max_s``, told from its first batch; one batch at least."""
    num_batches = int(max_s / contender.time_pass(items[:batch_size]))
    return items[: max(num_batches, 1) * batch_size]


def flips_frac(expected: Sequence[Prediction], found: Sequence[Prediction]) -> float:
    """Mean disagreement of answers to the same images, which are at least one."""
    return float(np.mean([disagreement(*pair) for pair in zip(expected, found, strict=True)]))


def stays_finite(expected: Sequence[Prediction], found: Sequence[Prediction]) -> bool:
    """Whether every image that one model answered the other answered too."""
    return all(new.is_ok for old, new in zip(expected, found, strict=True) if old.is_ok)
