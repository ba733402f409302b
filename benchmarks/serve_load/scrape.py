"""Read a few of Millrace's metrics."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Mapping

SAMPLE = re.compile(r"^(millrace_serve_\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$")


def read_totals(port: int) -> Mapping[str, float]:
    """Each series, added up over its labels."""
    totals: dict[str, float] = {}
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            found = SAMPLE.match(line)
            if found is not None:
                totals[found[1]] = totals.get(found[1], 0.0) + float(found[2])
    return totals


def mean_batch(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Images that shared a forward, in the mean; NaN without any."""
    images, batches = (
        after.get(name, 0.0) - before.get(name, 0.0)
        for name in ("millrace_serve_batch_images_count", "millrace_serve_batches_total")
    )
    return images / batches if batches else float("nan")
