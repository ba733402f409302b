"""What a child process of the quarantine does: work on one shard, and say before each step which images it is about to
touch, so that whoever finds the process dead knows whom to suspect.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

from inference_core.errors import JobError
from inference_core.items import Prediction, PreparedItem
from inference_core.runner import Runner
from jobs.planned_package import read_package
from jobs.prepare_worker import prepare_worker, source_facts
from jobs.process_threads import set_process_threads
from jobs.retry_plan import read_selection
from jobs.retry_sink import RetrySink
from jobs.sink import Receipt
from jobs.sources.image_ref import ImageRef
from jobs.stage_settings import StageSettings
from jobs.stages import build_sink, commit_worker, make_runner, tell_after
from jobs.worker_facts import QUARANTINE
from jobs.worker_watch import ModelWatch

EXIT_ABANDONED = 70
"""Of a child whose parent is gone."""
OWN_END_FACTOR = 3
"""A child that nobody ends does so itself after so many times the limit of a step."""

Step = Callable[[tuple[int, ...]], None]
"""Told the positions in the shard of the images that are worked on from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Work on one shard."""

    shard_id: int
    crashed: Mapping[int, str] = field(default_factory=dict)
    """Position of images that are not touched, with the error that their rows get."""
    only: tuple[int, ...] | None = None
    """Positions of images to try, one after the other and for nothing but to see whether they can be worked on; None
    works on the shard and commits it."""
    is_alone: bool = False
    """Whether no two images share a forward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a child says."""

    step: tuple[int, ...] = ()
    """Positions that are worked on from now on."""
    is_end: bool = False
    """Whether the task, or the loading of the model, is over."""
    receipt: Receipt | None = None
    """Of a shard that is committed."""
    error: BaseException | None = None
    """That the work ended with, the process being well."""


class IsolatedWorker:
    """The three verbs and the sink in this process.

    Args:
        settings: what actors are told too.
        step: told what is worked on.
    """

    def __init__(self, settings: StageSettings, step: Step) -> None:
        set_process_threads(settings.num_threads)
        self._runner = make_runner(settings)
        self._prepare = prepare_worker(settings)
        self._commit = commit_worker(settings)
        self._retry = build_sink(RetrySink, settings, read_package(settings)) if settings.generation else None
        self._selected = read_selection(settings.output, settings.generation) if settings.generation else {}
        self._step = step
        self._watch = ModelWatch(QUARANTINE, self._runner)

    def run(self, task: Task) -> Receipt | None:
        """Do a task; the receipt of a shard, None of a trial."""
        refs = self._prepare.read_refs(task.shard_id)
        if task.only is not None:
            for _ in self._predict(refs, self._runner.with_batch_size(1), positions=task.only, crashed={}):
                pass
            return None
        sink = self._retry or self._commit.sink
        if (found := sink.find(task.shard_id)) is not None:
            return found
        started_s = time.time()
        positions = tuple(range(len(refs)))
        # What a retry leaves as it is counts where batches are formed, and is not touched.
        kept = set(positions).difference(self._selected[task.shard_id]) if self._retry else set[int]()
        runner = self._runner.with_batch_size(1) if task.is_alone else self._runner
        untouched = dict.fromkeys(kept, "") | dict(task.crashed)
        predictions = self._predict(refs, runner, positions=positions, crashed=untouched)
        workers = partial(tell_after, (), self._watch)
        if self._retry is None:
            return self._commit.sink.commit(task.shard_id, predictions, started_s=started_s, workers=workers)
        again = (pair for pair in enumerate(predictions) if pair[0] not in kept)
        return self._retry.commit_again(task.shard_id, again, started_s=started_s, workers=workers)

    def _predict(
        self, refs: list[ImageRef], runner: Runner, *, positions: tuple[int, ...], crashed: Mapping[int, str]
    ) -> Iterator[Prediction]:
        """Predictions of some images of a shard, in batches as an actor forms them: those that are left out count."""
        items = self._prepare_some(refs, positions=positions, crashed=crashed)
        remaining = iter(positions)
        while chunk := list(islice(items, runner.batch_size)):
            own = tuple(islice(remaining, len(chunk)))
            self._step(tuple(position for position in own if position not in crashed))
            for position, raw in zip(own, runner.infer(chunk), strict=True):
                self._step((position,))
                yield self._commit.finisher.finish(raw)
        self._step(())

    def _prepare_some(
        self, refs: list[ImageRef], *, positions: tuple[int, ...], crashed: Mapping[int, str]
    ) -> Iterator[PreparedItem]:
        touched = [position for position in positions if position not in crashed]
        prepared = self._prepare.prepare_refs([refs[position] for position in touched])
        for position in positions:
            if position in crashed:
                yield PreparedItem(source=source_facts(refs[position]), status="crashed", error=crashed[position])
                continue
            self._step((position,))
            yield next(prepared)


def main() -> None:
    """Work, and end at once however it ends: the thread that reads would disturb an orderly end of Python."""
    code: object = 0
    try:
        work_through()
    except SystemExit as exc:
        code = exc.code
    os._exit(code if isinstance(code, int) else int(code is not None))


def work_through() -> None:
    """Load what was sent through standard input, then do task after task until it ends."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print does not come between the answers
    die_first()
    settings, step_timeout_s = pickle.load(sys.stdin.buffer)
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=read_tasks, args=(tasks,), name="tasks", daemon=True).start()

    def say(message: Message) -> None:
        # Also where native code hangs with Python's lock, and the parent is gone.
        faulthandler.dump_traceback_later(OWN_END_FACTOR * step_timeout_s, exit=True)
        send(answers, message)

    worker = say_outcome(say, lambda: IsolatedWorker(settings, lambda positions: say(Message(step=positions))))
    while worker is not None:
        faulthandler.cancel_dump_traceback_later()
        task = tasks.get()
        say_outcome(say, lambda task=task: worker.run(task))  # type: ignore[misc]


def say_outcome(say: Callable[[Message], None], work: Callable[[], Any]) -> Any:
    """Do some work and say how it ended; what it gives, None where it failed."""
    try:
        found = work()
    except Exception as exc:  # noqa: BLE001 - whatever the work raises is the answer
        say(Message(is_end=True, error=as_sendable(exc)))
        return None
    say(Message(is_end=True, receipt=found if isinstance(found, Receipt) else None))
    return found


def as_sendable(error: Exception) -> Exception:
    """The error if it can be pickled, else one that says the same."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - errors of anybody's making
        return JobError(f"{type(error).__name__}: {error}")
    return error


def send(answers: IO[bytes], message: Message) -> None:
    """Write a message with its length before it."""
    data = pickle.dumps(message)
    answers.write(len(data).to_bytes(4, "big") + data)


def read_tasks(tasks: queue.SimpleQueue[Task]) -> None:
    """Take tasks from standard input, and end the process when it ends."""
    try:
        while True:
            tasks.put(pickle.load(sys.stdin.buffer))
    except EOFError:
        os._exit(EXIT_ABANDONED)


def die_first() -> None:
    """Where memory runs out, let the system end this process and not those that the run needs."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
