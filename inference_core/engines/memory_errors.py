"""Tell an error about memory, which a smaller batch may avoid, from every other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inference_core.errors import DeviceMemoryError

MEMORY_PHRASES = (
    "out of memory",  # CUDA, through torch and ONNX Runtime
    "allocate memory",  # torch's CPU allocator and ONNX Runtime's arena
    "enough memory",  # torch's CPU allocator on Windows
    "alloc_failed",  # cuBLAS and cuDNN
    "bad_alloc",  # C++
    "unable to allocate",  # NumPy
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a library's error says that memory, of the device or the machine, was not to be had."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in text for phrase in MEMORY_PHRASES)


@contextmanager
def memory_errors() -> Iterator[None]:
    """Tell errors of a reduction about memory from mistakes.

    Raises:
        DeviceMemoryError: for the former; the latter pass.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as exc:
        if is_out_of_memory(exc):
            raise DeviceMemoryError(str(exc)) from exc
        raise
