"""Benchmarks are programs beside the package: their folder is importable for these tests only."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
