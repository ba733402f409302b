"""Time the engines that can run a package on images of the user's, and compare their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from numpy.typing import NDArray

from inference_core.agreement import largest_difference
from inference_core.contender import Contender, flips_frac, shorten_sample, stays_finite
from inference_core.engines.build import resolve_place, resolve_precision
from inference_core.engines.choose import (
    EngineChoice,
    Measurement,
    PrecisionGuard,
    choose,
    judge_precision,
    list_candidates,
)
from inference_core.engines.protocol import EngineName, Precision
from inference_core.engines.table import FIXED_PRECISION, installed_engines, resolve_engine, runnable_engines
from inference_core.enhance.build import build_package_engine
from inference_core.errors import ConfigError, DeviceMemoryError, EngineError, ModelError
from inference_core.items import Prediction, PreparedItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import default_batch_size

# The records too: jobs enter no engine module.
__all__ = [
    "EngineChoice",
    "EngineName",
    "Measurement",
    "PrecisionGuard",
    "RunnableEngines",
    "choose_engine",
    "guard_precision",
    "list_engines",
    "lower_precision",
]

MIN_TIMED_S = 0.3
"""Each candidate runs the sample again until so much time has passed."""
MAX_ROUND_S = 2.0
"""Of a larger sample only so many images are used as the reference runs in this time, and one batch at least."""
MAX_COMPARED = 8
"""Images whose raw outputs are compared value by value; the answers of all are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnableEngines:
    """Engines that run a package on a device, the format's own first."""

    installed: tuple[EngineName, ...]
    absent: tuple[EngineName, ...]
    """Their library is not installed here."""


def list_engines(package: ModelPackage, *, device: str) -> RunnableEngines:
    """What could run a package.

    Args:
        package: as read.
        device: ``cpu``, or ``cuda`` with or without a number.
    """
    weights_format = package.spec.format
    installed = installed_engines(weights_format, device=device)
    able = runnable_engines(weights_format, device=device)
    return RunnableEngines(installed=installed, absent=tuple(engine for engine in able if engine not in installed))


def choose_engine(
    package: ModelPackage,
    items: Sequence[PreparedItem],
    *,
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    num_threads: int = 1,
    guard: PrecisionGuard = "fall_back",
) -> EngineChoice:
    """The fastest engine and precision whose answers are those of the format's own engine in fp32.

    Args:
        package: as read.
        items: prepared images of the kind that will be run; failed ones are left out.
        device: auto, cpu or cuda:N.
        precision: auto, or the only one to try beside the reference.
        batch_size: images per forward; None chooses by device.
        num_threads: CPU threads of one forward.
        guard: what becomes of one whose answers differ.

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
    size = batch_size or default_batch_size(place)
    trial = Trial(package, usable, device=place, batch_size=size, num_threads=num_threads)
    candidates = list_candidates(package.spec.format, device=place, precision=precision)
    if not candidates:
        build_package_engine(
            package, device=place, precision="fp32", num_threads=num_threads
        )  # its error names the extra
    reference, *others = candidates
    table = [trial.measure_reference(*reference), *(trial.measure(*other) for other in others)]
    return choose(tuple(table), guard=guard)


def guard_precision(
    package: ModelPackage,
    items: Sequence[PreparedItem],
    *,
    engine: str = "default",
    device: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    num_threads: int = 1,
    guard: PrecisionGuard = "fall_back",
) -> EngineChoice | None:
    """Whether a precision lower than fp32 answers as fp32 does, and what to use.

    Args:
        package: as read.
        items: prepared images of the kind that will be run; failed ones are left out.
        engine: that will run them, or default.
        device: auto, cpu or cuda:N.
        precision: that is asked for.
        batch_size: images per forward; None chooses by device.
        num_threads: CPU threads of one forward.
        guard: what becomes of a precision whose answers differ.

    Returns:
        The choice with both measurements; None where there is nothing to compare: no lower precision, no image, or
        the guard is off.

    Raises:
        ConfigError: the device, the precision or the engine cannot be had.
        ModelError: the model does not work in fp32.
    """
    lower = lower_precision(package, engine=engine, device=device, precision=precision)
    usable = [item for item in items if item.prepared is not None]
    if lower is None or not usable or guard == "off":
        return None
    place = resolve_place(package, device=device, engine=engine)
    name = resolve_engine(engine, weights_format=package.spec.format, device=place)
    size = batch_size or default_batch_size(place)
    trial = Trial(package, usable, device=place, batch_size=size, num_threads=num_threads)
    reference = trial.measure_reference(name, "fp32")
    return judge_precision(reference, trial.measure(name, lower), guard=guard)


def lower_precision(package: ModelPackage, *, engine: str, device: str, precision: str) -> Precision | None:
    """What a run would compute in if that is lower than fp32; None for fp32 and for graphs that have their own."""
    place = resolve_place(package, device=device, engine=engine)
    name = resolve_engine(engine, weights_format=package.spec.format, device=place)
    resolved = resolve_precision(precision, device=place)
    return None if resolved == "fp32" or name in FIXED_PRECISION else resolved


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
        self._outputs: Sequence[Mapping[str, NDArray[Any]]] = ()
        self._answers: Sequence[Prediction] = ()

    @property
    def num_images(self) -> int:
        """Of the sample that is used."""
        return len(self._items)

    def measure_reference(self, engine: EngineName, precision: Precision) -> Measurement:
        """Time the engine that the others are compared with, and keep its answers."""
        built = self._build(engine, precision)
        self._items = shorten_sample(built, self._items, max_s=MAX_ROUND_S, batch_size=self._batch_size)
        self._answers = built.predict(self._items)
        self._outputs = self._raw_outputs(built)
        return Measurement(engine=engine, precision=precision, images_per_s=self._rate(built))

    def measure(self, engine: EngineName, precision: Precision) -> Measurement:
        """Time a candidate and compare it; one that does not run says why."""
        unmeasured = Measurement(engine=engine, precision=precision)
        try:
            built = self._build(engine, precision)
            outputs, answers = self._raw_outputs(built), built.predict(self._items)
        except (ConfigError, DeviceMemoryError, EngineError, ModelError) as exc:
            return replace(unmeasured, refusal=str(exc))
        return replace(
            unmeasured,
            images_per_s=self._rate(built),
            max_difference=largest_gap(self._outputs, outputs),
            flips_frac=flips_frac(self._answers, answers),
            is_finite=stays_finite(self._answers, answers),
        )

    def _build(self, engine: EngineName, precision: Precision) -> Contender:
        return Contender(
            self._package,
            engine,
            device=self._device,
            precision=precision,
            batch_size=self._batch_size,
            num_threads=self._num_threads,
        )

    def _raw_outputs(self, built: Contender) -> list[dict[str, NDArray[Any]]]:
        """Of the first images that the reference answers: a model may refuse some."""
        pairs = zip(self._items, self._answers, strict=True)
        return [
            built.raw_outputs(item) for item in islice((item for item, answer in pairs if answer.is_ok), MAX_COMPARED)
        ]

    def _rate(self, built: Contender) -> float:
        """Images per second of the best of several rounds, which others on the machine disturbed least."""
        times_s: list[float] = []
        while sum(times_s) < MIN_TIMED_S:
            times_s.append(built.time_pass(self._items))
        return len(self._items) / min(times_s)


def largest_gap(
    expected: Sequence[Mapping[str, NDArray[Any]]], found: Sequence[Mapping[str, NDArray[Any]]]
) -> float | None:
    """Largest difference of the outputs to several images; None where one is not finite or shapes differ."""
    gaps = [largest_difference(*pair) for pair in zip(expected, found, strict=True)]
    numbers = [gap for gap in gaps if gap is not None]
    return max(numbers, default=0.0) if len(numbers) == len(gaps) else None
