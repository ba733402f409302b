"""What this processor computes in, asked of the operating system: torch, which knows too, is slow to load."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""As Linux calls them on x86 and on ARM."""


@lru_cache(maxsize=1)
def has_bf16() -> bool:
    """Whether the processor multiplies in bf16; False where that cannot be told."""
    try:
        return bool(BF16_FLAGS & set(CPU_INFO.read_text().split()))
    except OSError:
        return False
