"""The example's scripts are run from their own folder; put it on the path as Python does for them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "cells"))
