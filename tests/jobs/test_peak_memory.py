from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from jobs.peak_memory import peak_memory, process_peak_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")


def test_what_was_held_and_let_go_is_seen() -> None:
    size = 64 * 1024 * 1024
    with peak_memory() as measured:
        block = np.ones(size, np.uint8)
        del block
    assert measured.grown_bytes is not None
    assert size * 0.9 < measured.grown_bytes < size * 2


def test_an_earlier_peak_does_not_count() -> None:
    block = np.ones(64 * 1024 * 1024, np.uint8)
    del block
    with peak_memory() as measured:
        pass
    assert measured.grown_bytes is not None
    assert measured.grown_bytes < 8 * 1024 * 1024


def test_the_peak_of_a_process_is_its_own_and_not_that_of_who_started_it() -> None:
    block = np.ones(256 * 1024 * 1024, np.uint8)
    own = process_peak_bytes()
    assert own is not None
    assert own > len(block)
    code = "from jobs.peak_memory import process_peak_bytes; print(process_peak_bytes())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert 0 < int(told) < len(block) // 4
