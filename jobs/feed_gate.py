"""The one place that asks Ray Data to begin nothing new; its policies are an internal interface of Ray 2.60."""

from __future__ import annotations

from typing import Any

from ray.data import DataContext
from ray.data._internal.execution.backpressure_policy import (
    ENABLED_BACKPRESSURE_POLICIES,
    ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY,
    BackpressurePolicy,
)

from jobs.draining import StopFlag

FLAG_KEY = "millrace.stop"


class FeedGate(BackpressurePolicy):  # type: ignore[misc]  # Ray is untyped here
    """Keeps shards out of the first stage once a stop was asked for; later stages go on with what they have."""

    def can_add_input(self, op: Any) -> bool:
        """Whether Ray Data may start another task of an operator."""
        flag = self._data_context.get_config(FLAG_KEY, None)
        if not isinstance(flag, StopFlag) or not flag.is_asked:
            return True
        if not self._is_anything_under_way():
            flag.note_idle()
        return op is not self._first_stage()

    def _first_stage(self) -> Any:
        """The first operator that does work: the input is none."""
        return next((op for op in self._topology if op.input_dependencies), None)

    def _is_anything_under_way(self) -> bool:
        first = self._first_stage()
        return any(
            op.num_active_tasks()
            or op.internal_input_queue_num_blocks()
            or (op is not first and state.has_pending_bundles())
            for op, state in self._topology.items()
            if op.input_dependencies
        )


def install_feed_gate(context: DataContext, flag: StopFlag) -> None:
    """Put the gate before every pipeline that is built from now on."""
    policies = [*ENABLED_BACKPRESSURE_POLICIES, FeedGate]
    context.set_config(ENABLED_BACKPRESSURE_POLICIES_CONFIG_KEY, policies)
    context.set_config(FLAG_KEY, flag)
