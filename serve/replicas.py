"""How many processes a service has on a machine without GPUs, where nobody says."""

from __future__ import annotations

from pathlib import Path

from inference_core import storage
from serve.config import ServeConfig

PROCESS_BYTES = 400 * 1024 * 1024
"""Of a process with an engine and nothing loaded."""
WEIGHTS_FACTOR = 3
"""Memory that a loaded model takes, for each byte of its package: the weights, an engine's own copy, and what a forward
needs."""
MEMORY_SHARE = 0.5
"""Of the memory that is free."""


def with_replicas(config: ServeConfig, *, num_cpus: int, free_bytes: int | None) -> ServeConfig:
    """Settings of the whole layout with a number of processes for each model that has none.

    Python does one thing at a time in a process: threads of one process share one interpreter, which preparing,
    finishing and answering need for a good part of their time. Measured with MobileNetV1 0.25 on four cores: 400 images
    a second from one process with four threads, 720 from four with two each.

    Args:
        config: of the service.
        num_cpus: cores of one machine.
        free_bytes: memory of one machine that is free; None where that is not known.
    """
    if all(model.replicas is not None for model in config.models):
        return config
    one_bytes = PROCESS_BYTES + config.cache_bytes
    one_bytes += WEIGHTS_FACTOR * sum(package_bytes(model.package) for model in config.models if not model.is_lazy)
    fitting = num_cpus if free_bytes is None else int(free_bytes * MEMORY_SHARE / one_bytes)
    replicas = max(1, min(num_cpus, fitting))
    models = tuple(
        model if model.replicas is not None else model.model_copy(update={"replicas": replicas})
        for model in config.models
    )
    return config.model_copy(update={"models": models})


def package_bytes(uri: str) -> int:
    """Bytes of all files of a package, or of the model file that stands for one; 0 of what is no place in storage."""
    path = Path(uri)
    if path.is_file():
        return path.stat().st_size
    if path.is_dir() or "://" in uri:
        return sum(found.size_bytes for found in storage.list_objects(uri))
    return 0


def free_memory_bytes() -> int | None:
    """What this machine could give to new processes; None where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
