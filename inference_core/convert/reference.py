"""A package that others are measured against: the same images, the same batches, the same thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inference_core.contender import Contender, flips_frac, shorten_sample, stays_finite
from inference_core.convert.output_gaps import difference, relative_difference, worst
from inference_core.convert.probes import probe_batches
from inference_core.engines.protocol import EngineName
from inference_core.engines.table import resolve_engine
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import CPU_BATCH_SIZE
from inference_core.records import Prepared, Uint8Array

MIN_TIMED_S = 0.3
"""Each engine runs the timed images again until so much time has passed."""
MAX_ROUND_S = 2.0
"""Of a larger sample only so many images are timed as the reference runs in this time, and one batch at least."""

DEVICE = "cpu"
"""Where all run: the one place that every machine has, and whose fp32 is fp32."""
NUM_THREADS = 1
"""As a worker of a job has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One package on one engine."""

    engine: EngineName
    num_bytes: int
    """Of the weights."""
    images_per_s: float = 0.0
    """Of the second verb alone, on one thread."""
    difference: float | None = 0.0
    """Largest absolute difference of any raw output to the original's; None where shapes differ or one is not
    finite."""
    relative: float | None = 0.0
    """Likewise, as a share of the output's largest magnitude."""
    flips_frac: float = 0.0
    """Share of the decisions that differ."""
    is_finite: bool = True
    """Whether every image that the original answers is answered."""
    refusal: str = ""
    """Why the engine does not run it; "" where it does."""


class Reference:
    """What a package answers on its format's own engine in fp32; others are measured against it.

    Args:
        package: as read.
        items: prepared images, at least one, none failed.

    Raises:
        ConfigError: the engine is not installed.
        ModelError: the package does not work.
    """

    def __init__(self, package: ModelPackage, items: Sequence[PreparedItem]) -> None:
        self._items = items
        self._probes = [
            as_item(batch, items[0]) for batch in probe_batches(items, package.spec.input, batch_size=CPU_BATCH_SIZE)
        ]
        contender = load(package, own_engine(package))
        self._outputs = [contender.raw_outputs(probe) for probe in self._probes]
        self._answers = contender.predict(items)
        self._timed = shorten_sample(contender, items, max_s=MAX_ROUND_S, batch_size=CPU_BATCH_SIZE)
        self.row = Row(
            engine=own_engine(package), num_bytes=package.weights.num_bytes, images_per_s=self._rate(contender)
        )

    def measure(self, package: ModelPackage, engine: EngineName) -> Row:
        """Time a package on an engine and compare it; one that does not run says why."""
        row = Row(engine=engine, num_bytes=package.weights.num_bytes)
        try:
            contender = load(package, engine)
            pairs = [
                (one, contender.raw_outputs(probe)) for one, probe in zip(self._outputs, self._probes, strict=True)
            ]
            answers = contender.predict(self._items)
        except (ConfigError, DeviceMemoryError, EngineError, ModelError) as exc:
            return replace(row, refusal=str(exc))
        return replace(
            row,
            images_per_s=self._rate(contender),
            difference=worst([difference(*pair) for pair in pairs]),
            relative=worst([relative_difference(*pair) for pair in pairs]),
            flips_frac=flips_frac(self._answers, answers),
            is_finite=stays_finite(self._answers, answers),
        )

    def _rate(self, contender: Contender) -> float:
        """Images per second of the best of several rounds, which others on the machine disturbed least."""
        times_s: list[float] = []
        while sum(times_s) < MIN_TIMED_S:
            times_s.append(contender.time_pass(self._timed))
        return len(self._timed) / min(times_s)


def own_engine(package: ModelPackage) -> EngineName:
    """The first engine of a format that is installed; the first of all where none is, whose error names the extra."""
    return resolve_engine("default", weights_format=package.spec.format, device=DEVICE)


def load(package: ModelPackage, engine: EngineName) -> Contender:
    """The package on an engine in fp32."""
    return Contender(
        package, engine, device=DEVICE, precision="fp32", batch_size=CPU_BATCH_SIZE, num_threads=NUM_THREADS
    )


def as_item(batch: Uint8Array, item: PreparedItem) -> PreparedItem:
    """A batch of tiles as if it were one image; only its raw outputs may be asked for."""
    assert item.prepared is not None, "a sample has items that can be run"
    count, height, width, _ = batch.shape
    placement = replace(item.prepared.placement, tile_hw=(height, width), tile_origins_yx=((0, 0),) * count)
    return replace(item, prepared=Prepared(tiles=batch, placement=placement))
