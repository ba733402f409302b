"""Stages of an optimisation on the same images: what they answer, how fast, how large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from numpy.typing import NDArray

from inference_core.contender import Contender, flips_frac, shorten_sample, stays_finite
from inference_core.convert.output_gaps import difference, worst
from inference_core.convert.probes import probe_batches
from inference_core.convert.reference import as_item, load
from inference_core.engines.protocol import EngineName
from inference_core.engines.table import installed_engines
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.items import Prediction, PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.optimise.accuracy import Scorer
from inference_core.pipeline import CPU_BATCH_SIZE

ORIGINAL = "original"
NUM_ROUNDS = 5
"""Every contender runs once in each, so that what disturbs the machine disturbs all of them."""
MAX_ROUND_S = 1.0
"""Of a larger sample only so many images are timed as the original runs in this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stage on one engine."""

    step: str
    """The step behind which it is measured; ORIGINAL before the first."""
    engine: EngineName
    num_bytes: int
    """Of the weights."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Accuracy by name, where labels were given."""
    flips_frac: float = 0.0
    """Share of the answers that differ from the original's: labels, pixels of masks, objects."""
    max_difference: float | None = 0.0
    """Largest absolute difference of any raw output; None where shapes differ or one is not finite."""
    is_finite: bool = True
    """Whether every image that the original answers is answered."""
    images_per_s: float = 0.0
    """Of the second verb alone, on one thread: the median of the rounds."""
    speedup: float = 0.0
    """Times as fast as the original: the median of the rounds' ratios."""
    refusal: str = ""
    """Why the engine does not run it; "" where it does."""


class Bench:
    """Contenders on one sample; the first is the original, with which the others are compared.

    Args:
        items: prepared images, at least one, none failed.
        scorer: how right answers are, None without labels.
    """

    def __init__(self, items: Sequence[PreparedItem], *, scorer: Scorer | None) -> None:
        self._items = items
        self._scorer = scorer
        self._rows: list[tuple[Row, Contender | None]] = []
        self._probes: list[PreparedItem] = []
        self._outputs: list[dict[str, NDArray[Any]]] = []
        self._answers: Sequence[Prediction] = ()

    def add(self, package: ModelPackage, *, step: str) -> None:
        """Run a package on every engine that is installed for its format, the default first.

        Raises:
            ConfigError: no engine is installed, or the first package's does not work.
            ModelError: the first package does not work.
        """
        engines = installed_engines(package.spec.format, device="cpu")
        for engine in engines:
            row = Row(step=step, engine=engine, num_bytes=package.weights.num_bytes)
            if not self._rows:
                self._rows.append(self._set_reference(package, row))
                continue
            try:
                self._rows.append(self._compare(package, row))
            except (ConfigError, DeviceMemoryError, EngineError, ModelError) as exc:
                self._rows.append((replace(row, refusal=str(exc)), None))

    def rows(self) -> tuple[Row, ...]:
        """All that were added, with their rates: they run in turns."""
        reference = self._rows[0][1]
        assert reference is not None, "the first package runs, else adding it would have raised"
        sample = shorten_sample(reference, self._items, max_s=MAX_ROUND_S, batch_size=CPU_BATCH_SIZE)
        running = [contender for _, contender in self._rows if contender is not None]
        rounds_s = [[contender.time_pass(sample) for contender in running] for _ in range(NUM_ROUNDS)]
        times = dict(zip(map(id, running), zip(*rounds_s, strict=True), strict=True))
        first_s = times[id(reference)]
        return tuple(
            row if contender is None else with_times(row, times[id(contender)], first_s, num_images=len(sample))
            for row, contender in self._rows
        )

    def _set_reference(self, package: ModelPackage, row: Row) -> tuple[Row, Contender]:
        """Run the original and keep what it answers."""
        contender = load(package, row.engine)
        batches = probe_batches(self._items, package.spec.input, batch_size=CPU_BATCH_SIZE)
        self._probes = [as_item(batch, self._items[0]) for batch in batches]
        self._outputs = [contender.raw_outputs(probe) for probe in self._probes]
        self._answers = contender.predict(self._items)
        return replace(row, scores=self._score(self._answers)), contender

    def _compare(self, package: ModelPackage, row: Row) -> tuple[Row, Contender]:
        """Run another package and compare its answers with the original's."""
        contender = load(package, row.engine)
        answers = contender.predict(self._items)
        gaps = [
            difference(one, contender.raw_outputs(probe))
            for one, probe in zip(self._outputs, self._probes, strict=True)
        ]
        compared = replace(
            row,
            scores=self._score(answers),
            flips_frac=flips_frac(self._answers, answers),
            max_difference=worst(gaps),
            is_finite=stays_finite(self._answers, answers),
        )
        return compared, contender

    def _score(self, answers: Sequence[Prediction]) -> dict[str, float]:
        return self._scorer(answers) if self._scorer else {}


def with_times(row: Row, times_s: Sequence[float], first_s: Sequence[float], *, num_images: int) -> Row:
    """A row with its rate and how it compares with the original's, round by round."""
    ratios = [first / own for first, own in zip(first_s, times_s, strict=True)]
    return replace(row, images_per_s=num_images / median(times_s), speedup=median(ratios))
