"""How one accepted request is computed: on one thread from bytes to answer, or stage by stage.

On a CPU the whole way on one thread saves hops between threads; where a GPU infers, images are prepared for the next
batch meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from inference_core.items import PreparedItem, RawItem
from serve.answers import Answer, PredictRequest
from serve.batch_queue import Deadline, Entry, late_error
from serve.batch_workers import BatchWorkers, guarded
from serve.errors import ServeError
from serve.inference import Inference
from serve.verbs import Verbs

Found = TypeVar("Found")
Wanted = tuple[PreparedItem, int | None]
"""An item, and how many of the package's views it is run with."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """A request on its way."""

    request: PredictRequest
    sha256: str = ""
    """Of the encoded image, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inferred:
    """What the second verb gave for one image."""

    raw: RawItem
    queue_ms: float
    batch_size: int


class Route(Protocol):
    """Computes answers. All methods but ``close`` run on one event loop."""

    @property
    def num_open(self) -> int:
        """Images that were begun and are not computed yet."""

    def begin(self, job: Job, *, deadline: Deadline) -> asyncio.Future[Answer]:
        """The answer to come; cancelling it drops what has not begun."""

    async def probe(self) -> None:
        """Run a blank image before all that waits.

        Raises:
            ServeError: it failed.
        """

    def close(self) -> None:
        """Do what was accepted, then end the threads; blocks."""


class WholeRoute:
    """All three verbs of a batch on one thread.

    Args:
        verbs: prepare and finish.
        inference: infer.
        wait_s: how long a forward that could begin waits for more images.
    """

    def __init__(self, verbs: Verbs, inference: Inference, *, wait_s: float) -> None:
        self._verbs = verbs
        self._inference = inference
        settings = inference.settings
        self._workers: BatchWorkers[Job | None, Answer | None] = BatchWorkers(
            self._run, num_threads=settings.concurrent_batches, batch_size=settings.batch_size, wait_s=wait_s
        )

    @property
    def num_open(self) -> int:
        """See Route."""
        return self._workers.num_open

    def begin(self, job: Job, *, deadline: Deadline) -> asyncio.Future[Answer]:
        """See Route."""
        return self._workers.queue.put(job, deadline=deadline)  # type: ignore[return-value] # only a probe gives None

    async def probe(self) -> None:
        """See Route."""
        await self._workers.queue.put(None, deadline=Deadline(), is_first=True)

    def close(self) -> None:
        """See Route."""
        self._workers.close()

    def _run(self, entries: Sequence[Entry[Job | None, Answer | None]]) -> Sequence[Answer | BaseException | None]:
        outcomes: dict[int, Answer | BaseException | None] = {}
        items: list[PreparedItem] = []
        prepared: list[tuple[Entry[Job | None, Answer | None], Job]] = []
        for entry in entries:
            try:  # an error is of this image alone
                if entry.payload is None:
                    outcomes[id(entry)] = guarded(self._inference.probe)
                    continue
                items.append(guarded(partial(self._verbs.prepare, entry.payload.request, sha256=entry.payload.sha256)))
                prepared.append((entry, entry.payload))
            except ServeError as exc:
                outcomes[id(entry)] = exc
        views = [job.request.options.views for _, job in prepared]
        raws = self._inference.infer(items, views=views) if items else []
        for (entry, job), raw in zip(prepared, raws, strict=True):
            finish = partial(self._verbs.finish, raw, job.request, queue_ms=entry.queue_ms, batch_size=len(items))
            try:
                outcomes[id(entry)] = guarded(finish)
            except ServeError as exc:
                outcomes[id(entry)] = exc
        return [outcomes[id(entry)] for entry in entries]


class Inferrer(Protocol):
    """Infers prepared items, here or in another process."""

    async def infer(self, item: PreparedItem, *, deadline: Deadline, views: int | None = None) -> Inferred:
        """The raw output of one item, which shares forwards with others.

        Args:
            item: prepared.
            deadline: whoever has it then drops it.
            views: how many of the package's are run; None for all.
        """

    async def probe(self) -> None:
        """Run a blank image before all that waits."""

    def close(self) -> None:
        """End what was started for it; blocks."""


class LocalInferrer:
    """Batches of prepared items in threads of this process.

    Args:
        inference: runs them.
        wait_s: how long a forward that could begin waits for more images.
    """

    def __init__(self, inference: Inference, *, wait_s: float) -> None:
        self._inference = inference
        settings = inference.settings
        self._workers: BatchWorkers[Wanted | None, Inferred | None] = BatchWorkers(
            self._run, num_threads=settings.concurrent_batches, batch_size=settings.batch_size, wait_s=wait_s
        )

    async def infer(self, item: PreparedItem, *, deadline: Deadline, views: int | None = None) -> Inferred:
        """See Inferrer."""
        found = await self._workers.queue.put((item, views), deadline=deadline)
        assert found is not None, "only a probe gives nothing"
        return found

    async def probe(self) -> None:
        """See Inferrer."""
        await self._workers.queue.put(None, deadline=Deadline(), is_first=True)

    def close(self) -> None:
        """See Inferrer."""
        self._workers.close()

    def _run(self, entries: Sequence[Entry[Wanted | None, Inferred | None]]) -> Sequence[Inferred | None]:
        wanted = [entry.payload for entry in entries if entry.payload is not None]
        if len(wanted) < len(entries):
            self._inference.probe()
        items, views = [item for item, _ in wanted], [count for _, count in wanted]
        raws = iter(self._inference.infer(items, views=views) if items else [])
        return [
            None if entry.payload is None else Inferred(raw=next(raws), queue_ms=entry.queue_ms, batch_size=len(items))
            for entry in entries
        ]


class StagedRoute:
    """Prepare and finish in a pool of threads, infer wherever the inferrer does.

    Args:
        verbs: prepare and finish.
        inferrer: infer.
        num_threads: of the pool.
    """

    def __init__(self, verbs: Verbs, inferrer: Inferrer, *, num_threads: int) -> None:
        self._verbs = verbs
        self._inferrer = inferrer
        self._pool: Executor = ThreadPoolExecutor(num_threads, thread_name_prefix="prepare")
        self._open: set[asyncio.Task[Answer]] = set()

    @property
    def num_open(self) -> int:
        """See Route."""
        return len(self._open)

    def begin(self, job: Job, *, deadline: Deadline) -> asyncio.Future[Answer]:
        """See Route."""
        task = asyncio.ensure_future(self._compute(job, deadline))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    async def probe(self) -> None:
        """See Route."""
        await self._inferrer.probe()

    def close(self) -> None:
        """See Route."""
        self._inferrer.close()
        self._pool.shutdown()

    async def _compute(self, job: Job, deadline: Deadline) -> Answer:
        request = job.request
        item = await self._in_pool(lambda: self._verbs.prepare(request, sha256=job.sha256), deadline)
        if item.prepared is None:
            raw = RawItem(source=item.source, status=item.status, error=item.error, stage_ms=item.stage_ms)
            found = Inferred(raw=raw, queue_ms=0.0, batch_size=0)
        else:
            found = await self._inferrer.infer(item, deadline=deadline, views=request.options.views)
        return await self._in_pool(
            lambda: self._verbs.finish(found.raw, request, queue_ms=found.queue_ms, batch_size=found.batch_size),
            deadline,
        )

    async def _in_pool(self, work: Callable[[], Found], deadline: Deadline) -> Found:
        """Do something in the pool, unless its time is over when its turn comes."""

        def work_in_time() -> Found:
            if deadline.is_over:
                raise late_error()
            return guarded(work)

        return await asyncio.get_running_loop().run_in_executor(self._pool, work_in_time)
