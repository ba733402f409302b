"""The second verb of one served model: runners on its device, as many as forwards may be under way."""

from __future__ import annotations

import os
import queue
from collections.abc import Sequence
from dataclasses import dataclass

from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_runner, check_runner
from inference_core.records import PreparedItem, RawItem
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
        self._blank = blank_item(package.spec.input)
        self._free: queue.SimpleQueue[Runner] = queue.SimpleQueue()
        for runner in copies_of(first, package, config, settings=self.settings):
            self._free.put(runner)
        self.health.note_good()

    def infer(self, items: Sequence[PreparedItem]) -> list[RawItem]:
        """Run items that may share a forward.

        Raises:
            UnavailableError: the device is broken.
        """
        if self.health.is_broken:
            raise broken_error()
        runner = self._free.get()
        try:
            raws = runner.infer(items)
        except BaseException as exc:
            self.health.note_error(exc)
            if self.health.is_broken:
                raise broken_error() from exc
            raise
        finally:
            self._free.put(runner)
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
        runner = self._free.get()
        try:
            (raw,) = runner.infer([self._blank])
            reason = raw.error
        except Exception as exc:  # noqa: BLE001 # whatever it is, the model does not work
            reason = str(exc) or type(exc).__name__
        finally:
            self._free.put(runner)
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
