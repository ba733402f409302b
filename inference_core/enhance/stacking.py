"""Views of one batch in one larger forward, where that is faster: small forwards wait for their overhead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from array_api_compat import array_namespace

from inference_core.engines.protocol import Array, EngineFacts

CPU_PIXELS = 1 << 16
"""Pixels of a stacked forward on a CPU: four views of a tile of 128 x 128. There, one thread, four views at once take
0.5 of the time of one after the other (torch) or 0.95 (ONNX Runtime), two threads 0.4 and 0.7; four tiles of 256 x 256
leave the caches and take 1.3. Measured on an AMD EPYC."""
CUDA_PIXELS = 1 << 24
"""The same on a GPU, 64 tiles of 512 x 512; what does not fit its memory is run view by view."""


def most_views(facts: EngineFacts, shape: Sequence[int]) -> int:
    """How many views of a batch go into one forward.

    Args:
        facts: of the engine; a graph of a fixed size is filled up with views before it is with blanks.
        shape: (B, h, w, C) of one view.
    """
    count, height, width, _ = shape
    if facts.max_batch is not None:
        return max(1, facts.max_batch // count)
    limit = CPU_PIXELS if facts.device == "cpu" else CUDA_PIXELS
    return max(1, limit // (count * height * width))


def runs_of_equal(shapes: Sequence[tuple[int, ...]], *, most: int) -> Iterator[range]:
    """Positions of neighbours of equal shape, at most so many at a time, in order."""
    start = 0
    for stop in range(1, len(shapes) + 1):
        if stop == len(shapes) or shapes[stop] != shapes[start] or stop - start == most:
            yield range(start, stop)
            start = stop


def stack(views: Sequence[Array]) -> Array:
    """(V * B, h, w, C) of V batches (B, h, w, C); a lone one as it is."""
    return views[0] if len(views) == 1 else array_namespace(views[0]).concat(views, axis=0)


def unstack(outputs: dict[str, Array], *, count: int, index: int) -> dict[str, Array]:
    """The outputs of one view of a stacked forward: ``count`` images from the ``index``-th time so many on."""
    return {name: output[index * count : (index + 1) * count, ...] for name, output in outputs.items()}
