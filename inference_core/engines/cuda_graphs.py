"""Replay forwards on CUDA: one launch instead of one for each kernel."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

MAX_GRAPHS = 8
"""Shapes whose recording is kept; each keeps the memory of its forward. The one unused for longest goes first."""
WARM_UP_RUNS = 3
"""Forwards before the recording, in which libraries choose their kernels and allocate."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """One shape's graph with the memory that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    values: Tensor
    outputs: Any


class ReplayedForward:
    """A forward that is recorded for every shape that it meets, and replayed from then on.

    Args:
        forward: does the same kernels for the same shape, and waits for nothing in between.
    """

    def __init__(self, forward: Callable[[Tensor], Any]) -> None:
        self._forward = forward
        self._recordings: OrderedDict[tuple[torch.Size, torch.dtype], Recording] = OrderedDict()

    def __call__(self, values: Tensor) -> Any:
        """The outputs, in memory of their own.

        Args:
            values: on CUDA; not modified.
        """
        key = (values.shape, values.dtype)
        if key not in self._recordings:
            self._recordings[key] = record(self._forward, values)
            if len(self._recordings) > MAX_GRAPHS:
                self._recordings.popitem(last=False)
        self._recordings.move_to_end(key)
        recording = self._recordings[key]
        recording.values.copy_(values)
        recording.graph.replay()
        # Copies, since the next replay writes over the graph's own.
        return tree_map(lambda output: output.clone() if isinstance(output, Tensor) else output, recording.outputs)


def recorded_size(count: int) -> int:
    """The power of two that a batch of ``count`` images is filled up to, so that few recordings serve all sizes."""
    return 1 << max(count - 1, 0).bit_length()


def record(forward: Callable[[Tensor], Any], values: Tensor) -> Recording:
    """Warm up on a side stream, as recording asks for, then record."""
    static = values.clone(memory_format=torch.preserve_format)
    side = torch.cuda.Stream(values.device)  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream(values.device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP_RUNS):
            forward(static)
    torch.cuda.current_stream(values.device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = forward(static)
    return Recording(graph=graph, values=static, outputs=outputs)
