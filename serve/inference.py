"""The second verb of one served model: runners on its device, as many as forwards may be under way."""

from __future__ import annotations

import os
import queue
from collections.abc import Sequence
from dataclasses import dataclass

from inference_core.enhance.override import num_views, with_first_views
from inference_core.items import PreparedItem, RawItem
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_runner, check_runner, share_runner
from inference_core.runner import Runner
from serve.config import ServedModelConfig
from serve.device_health import DeviceHealth
from serve.errors import UnavailableError
from serve.prepared_tiles import blank_item

SHARED_ENGINES = ("onnxruntime", "tensorrt", "torch")
"""Engines that take forwards of several threads at once; of the others each thread has its own."""
CUDA_BATCH_SIZE = 32
CUDA_CONCURRENT_BATCHES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How the forwards of one model are run."""

    batch_size: int
    concurrent_batches: int
    num_threads: int
    """CPU threads of one forward."""
    is_cuda: bool


class ViewRunners:
    """Runners of one loaded model: with all views of its package, or with the first of them. One thread at a time.

    Args:
        runner: with all.
        package: of the model.
    """

    def __init__(self, runner: Runner, package: ModelPackage) -> None:
        self._package = package
        self._runners: dict[int | None, Runner] = {None: runner}

    def infer(self, items: Sequence[PreparedItem], *, views: Sequence[int | None]) -> list[RawItem]:
        """Run items, each with so many views; those with as many share forwards."""
        found: dict[int, RawItem] = {}
        for count in dict.fromkeys(views):
            places = [place for place, other in enumerate(views) if other == count]
            found |= zip(places, self._runner_of(count).infer([items[place] for place in places]), strict=True)
        return [found[place] for place in range(len(items))]

    def _runner_of(self, count: int | None) -> Runner:
        if count not in self._runners:
            package = with_first_views(self._package, count or num_views(self._package.spec))
            self._runners[count] = share_runner(self._runners[None], package)
        return self._runners[count]


class Inference:
    """Runs prepared items, in several threads at once.

    Args:
        package: the model.
        config: how it is served.
        num_cpus: cores that this process may use; None for all that it sees.

    Raises:
        ConfigError: the device, the engine or an extra cannot be had.
        ModelError: the model does not load or does not work.
    """

    def __init__(self, package: ModelPackage, config: ServedModelConfig, *, num_cpus: int | None = None) -> None:
        cores = num_cpus or len(os.sched_getaffinity(0))
        first, self.settings = build_first(package, config, cores=cores)
        self.facts = first.engine_facts
        self.health = DeviceHealth()
        self._blank = blank_item([block.spec.input for block in package.blocks])
        self._free: queue.SimpleQueue[ViewRunners] = queue.SimpleQueue()
        for runner in copies_of(first, package, config, settings=self.settings):
            self._free.put(ViewRunners(runner, package))
        self.health.note_good()

    def infer(self, items: Sequence[PreparedItem], *, views: Sequence[int | None] = ()) -> list[RawItem]:
        """Run items that may share a forward.

        Args:
            items: prepared.
            views: for each, how many of the package's views are run, None for all; nothing is all for each.

        Raises:
            UnavailableError: the device is broken.
        """
        if self.health.is_broken:
            raise broken_error()
        runners = self._free.get()
        try:
            raws = runners.infer(items, views=views or [None] * len(items))
        except BaseException as exc:
            self.health.note_error(exc)
            if self.health.is_broken:
                raise broken_error() from exc
            raise
        finally:
            self._free.put(runners)
        self.health.note_items(raws)
        if self.health.is_doubted:
            self.probe()
        return raws

    def probe(self) -> None:
        """Run a blank image.

        Raises:
            UnavailableError: it failed: whatever is wrong is not with the images; or the device is broken already.
        """
        if self.health.is_broken:
            raise broken_error()
        runners = self._free.get()
        try:
            (raw,) = runners.infer([self._blank], views=[None])
            reason = raw.error
        except Exception as exc:  # noqa: BLE001 # whatever it is, the model does not work
            reason = str(exc) or type(exc).__name__
        finally:
            self._free.put(runners)
        if reason:
            self.health.note_broken(reason)
            raise broken_error()
        self.health.note_good()


def build_first(package: ModelPackage, config: ServedModelConfig, *, cores: int) -> tuple[Runner, BatchSettings]:
    """A runner that works, and how many forwards of which size there are; what is not said is chosen by device."""
    concurrent = config.concurrent_batches or cores
    runner = build_runner(
        package,
        device=config.device,
        precision=config.precision,
        batch_size=config.batch_size or 1,
        num_threads=config.num_threads or max(1, cores // concurrent),
        engine=config.engine,
    )
    facts = runner.engine_facts
    is_cuda = facts.device != "cpu"
    settings = BatchSettings(
        batch_size=config.batch_size or (CUDA_BATCH_SIZE if is_cuda else 1),
        concurrent_batches=config.concurrent_batches or (CUDA_CONCURRENT_BATCHES if is_cuda else cores),
        num_threads=facts.num_threads,
        is_cuda=is_cuda,
    )
    runner = runner.with_batch_size(settings.batch_size)
    check_runner(package, runner)
    return runner, settings


def copies_of(
    first: Runner, package: ModelPackage, config: ServedModelConfig, *, settings: BatchSettings
) -> list[Runner]:
    """As many runners as there are forwards at once; engines that allow it are shared, weights and all."""
    runners = [first]
    for _ in range(settings.concurrent_batches - 1):
        if first.engine_facts.engine in SHARED_ENGINES:
            runners.append(first.with_batch_size(settings.batch_size))
            continue
        runners.append(
            build_runner(
                package,
                device=config.device,
                precision=config.precision,
                batch_size=settings.batch_size,
                num_threads=settings.num_threads,
                engine=config.engine,
            )
        )
    return runners


def broken_error() -> UnavailableError:
    """What requests are told while the process waits to be replaced."""
    return UnavailableError(
        "the model must have a working device, but its device failed; a new process takes over, try again",
        retry_after_s=5,
    )
