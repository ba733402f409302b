"""How many threads the libraries of a process start."""

from __future__ import annotations

import os
import sys


def set_process_threads(num_threads: int) -> None:
    """Keep libraries from starting a thread per core in every one of a machine's many processes."""
    import cv2

    cv2.setNumThreads(num_threads)
    # Read by torch and OpenMP when they load, which workers of other engines never do.
    os.environ["OMP_NUM_THREADS"] = str(num_threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(num_threads)
