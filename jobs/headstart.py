"""Commit the first shards while Ray starts.

A local Ray takes some seconds until its actors work; Ray 2.60 starts them in new processes, so nothing can be loaded
ahead. Child processes of the driver use that time: they run the same stage as the actors of the whole layout, on the
first shards. They stop when the pipeline's first commit comes, and what they have not committed is left to it: the
commit log makes that safe whenever and however they end, and claims keep them from doing what an actor does already.
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pyarrow as pa

from inference_core.pipeline import has_cuda_device
from jobs.claims import claim
from jobs.columns import SHARD_SCHEMA
from jobs.execution_config import ExecutionConfig
from jobs.resources import is_cluster_elsewhere
from jobs.stage_settings import StageSettings
from jobs.stages import WholeShards

NICENESS = 5
"""Of the children: Ray's processes come first, since they are what the run waits for."""
STOP_TIMEOUT_S = 5.0
"""How long a child may take to end its shard before it is killed; the pipeline then does that shard."""


def can_start_ahead(execution: ExecutionConfig) -> bool:
    """Whether the run will be in the whole layout on this machine's CPUs alone, so that children work as actors do."""
    on_cpu = execution.device == "cpu" or not has_cuda_device()
    return execution.head_start and on_cpu and execution.layout != "split" and not is_cluster_elsewhere(execution)


@contextmanager
def start_ahead(settings: StageSettings, shard_ids: Sequence[int], *, num_processes: int) -> Iterator[None]:
    """Let child processes commit shards, in order, until the context ends.

    Args:
        settings: what actors are told too.
        shard_ids: shards that are not committed.
        num_processes: how many children; 0 for none.
    """
    children = [start_child(settings, shard_ids[first::num_processes]) for first in range(num_processes)]
    try:
        yield
    finally:
        stop_children(children)


def start_child(settings: StageSettings, shard_ids: Sequence[int]) -> subprocess.Popen[bytes]:
    """A child that works through shards until its standard input ends, also when this process is killed."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    child = subprocess.Popen(
        [sys.executable, "-m", "jobs.headstart"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert child.stdin is not None, "the child was given a pipe"
    with suppress(BrokenPipeError):  # it died at once: the pipeline does its shards
        pickle.dump((settings, list(shard_ids)), child.stdin)
        child.stdin.flush()
    return child


def stop_children(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Let children end their shards, and kill those that take too long."""
    for child in children:
        assert child.stdin is not None, "children were given a pipe"
        with suppress(BrokenPipeError):
            child.stdin.close()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def main() -> None:
    """What a child does, behind everything that Ray does to start."""
    os.nice(NICENESS)
    settings, shard_ids = pickle.load(sys.stdin.buffer)
    stage = WholeShards(replace(settings, claims=""))
    for shard_id in shard_ids:
        if has_ended(sys.stdin.fileno()):
            return
        with claim(settings.claims, shard_id, patience_s=0) as is_own:
            if is_own:
                stage(pa.table({"shard_id": [shard_id]}, schema=SHARD_SCHEMA))


def has_ended(descriptor: int) -> bool:
    """Whether nothing more can come through a pipe."""
    readable, _, _ = select.select([descriptor], [], [], 0)
    return bool(readable) and not os.read(descriptor, 1)


if __name__ == "__main__":
    main()
