"""What an explanation of one image costs, over a plain prediction of it: ``python -m benchmarks.explain_cost``.

A round predicts a photograph and explains it by every method, one after the other on one thread, so that whatever else
the machine does hits all of them; a ratio is the median over the photographs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import get_args

from inference_core.explain.allowed import GRADIENT_FORMATS
from inference_core.explain.explanation import GRADIENT_METHODS, Method
from inference_core.predictor import Predictor
from tests.asset_packages import mobilenet_package

ASSETS = Path(__file__).resolve().parents[2] / "shared" / "assets"
KINDS = ("pth", "torchscript", "onnx")
NUM_PHOTOGRAPHS = 9


def elapsed_ms(work: Callable[[], object]) -> float:
    """Wall-clock milliseconds of a call."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def measure(package: Path, photographs: list[bytes]) -> tuple[float, dict[Method, float]]:
    """Milliseconds of a prediction, and each method's time over it; the first image only warms up."""
    predictor = Predictor.load(package, device="cpu", num_threads=1, batch_size=16)
    methods = [method for method in get_args(Method) if method not in GRADIENT_METHODS or is_torch(package)]
    plain_ms: list[float] = []
    ratios: dict[Method, list[float]] = {method: [] for method in methods}
    for index, photograph in enumerate(photographs):
        own_ms = min(elapsed_ms(lambda image=photograph: predictor.predict(image)) for _ in range(3))  # type: ignore[misc]
        found = {
            method: elapsed_ms(lambda image=photograph, by=method: predictor.explain(image, method=by))  # type: ignore[misc]
            for method in methods
        }
        if index:
            plain_ms.append(own_ms)
            for method, took_ms in found.items():
                ratios[method].append(took_ms / own_ms)
    return median(plain_ms), {method: median(values) for method, values in ratios.items()}


def is_torch(package: Path) -> bool:
    """Whether torch runs a package."""
    return any(f"format: {name}\n" in (package / "model.yaml").read_text() for name in GRADIENT_FORMATS)


def main() -> None:
    """Print a table."""
    paths = sorted((ASSETS / "classification" / "imagenet").iterdir())[:: 100 // NUM_PHOTOGRAPHS][:NUM_PHOTOGRAPHS]
    photographs = [path.read_bytes() for path in paths]
    print("| weights | a prediction | " + " | ".join(get_args(Method)) + " |")
    print("|---" * (2 + len(get_args(Method))) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            plain_ms, ratios = measure(mobilenet_package(Path(folder) / kind, ASSETS, kind=kind), photographs)
            cells = [f"{ratios[method]:.1f}" if method in ratios else "" for method in get_args(Method)]
            print(f"| {kind} | {plain_ms:.1f} ms | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
