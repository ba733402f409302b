"""The one place that looks at the queues of Ray Data; its callbacks are an internal interface of Ray 2.60."""

from __future__ import annotations

import time
from typing import Any

from ray.data import DataContext
from ray.data._internal.execution.execution_callback import ExecutionCallback

from jobs.metrics.pool_loads import PoolLoad, PoolLoads
from jobs.worker_facts import QUARANTINE

LOOK_INTERVAL_S = 1.0
POOL_OF_STAGE = {
    "WholeShards": "workers",
    "PrepareShards": "prepare",
    "InferShards": "infer",
    "CommitShards": "commit",
    "QuarantineShards": QUARANTINE,
}


class PipelineWatch(ExecutionCallback):  # type: ignore[misc] # Ray has no annotations here
    """Notes now and then how busy the pools are, where somebody wants to know."""

    def __init__(self) -> None:
        self._next_look = 0.0

    def on_execution_step(self, executor: Any) -> None:
        """Look, if the last look is old enough: Ray steps often."""
        now = time.monotonic()
        if PoolLoads.current is not None and now >= self._next_look:
            self._next_look = now + LOOK_INTERVAL_S
            PoolLoads.current.note(loads_of(executor))

    def after_execution_succeeds(self, executor: Any) -> None:
        """Nothing waits any more."""
        if PoolLoads.current is not None:
            PoolLoads.current.end(loads_of(executor))

    def after_execution_fails(self, executor: Any, error: Exception) -> None:
        """Likewise."""
        self.after_execution_succeeds(executor)


def install_pipeline_watch(context: DataContext) -> None:
    """Let the pipelines that are built from now on be looked at."""
    if PipelineWatch not in context.custom_execution_callback_classes:
        context.custom_execution_callback_classes.append(PipelineWatch)


def loads_of(executor: Any) -> dict[str, PoolLoad]:
    """The pools of a pipeline of Ray Data 2.60."""
    stages = [(operator, state) for operator, state in executor._topology.items() if operator.input_dependencies]
    found = [(pool_of(operator.name), operator, state) for operator, state in stages]
    return {pool: load_of(operator, state) for pool, operator, state in found if pool is not None}


def pool_of(operator_name: str) -> str | None:
    """The pool that works on an operator, None of one that is not ours."""
    return next((pool for stage, pool in POOL_OF_STAGE.items() if stage in operator_name), None)


def load_of(operator: Any, state: Any) -> PoolLoad:
    """One pool."""
    actors = operator.get_actor_info()
    num_actors = {name: int(getattr(actors, name)) for name in ("running", "pending", "restarting")}
    return PoolLoad(
        num_waiting=state.total_enqueued_input_blocks(),
        num_busy=operator.num_active_tasks(),
        num_failed=operator.metrics.num_tasks_failed,
        actors=num_actors if any(num_actors.values()) else {},
    )
