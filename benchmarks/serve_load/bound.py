"""The bound: the core alone, a process for each core and no server.

PYTHONPATH=benchmarks:. python -m serve_load.bound PACKAGE FOLDER SECONDS PROCESSES
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from itertools import count, cycle, islice
from multiprocessing.synchronize import Barrier
from pathlib import Path

from inference_core.models.package import load_package
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from serve_load.wire import MARK_BYTES, read_images

WARM_S = 0.5
START_S = 120.0


def main(package_uri: str, folder: str, seconds: str, processes: str) -> None:
    """Print images per second."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(int(processes))
    with context.Pool(int(processes), initializer=keep_barrier, initargs=(ready,)) as pool:
        arguments = [(package_uri, folder, float(seconds), index) for index in range(int(processes))]
        num_done = sum(pool.starmap(work, arguments, chunksize=1))
    print(json.dumps({"images_per_s": num_done / float(seconds)}))


def keep_barrier(ready: Barrier) -> None:
    """What all processes wait at before they begin."""
    global READY
    READY = ready


def work(package_uri: str, folder: str, seconds: float, index: int) -> int:
    """Images that one process did in its time."""
    package, images, numbers = load_package(package_uri), read_images(Path(folder)), count(index * 10**9)
    preparer, finisher = build_preparer(package), build_finisher(package)
    runner = build_runner(package, device="cpu", batch_size=1, num_threads=1)
    READY.wait(START_S)
    starts_s = time.perf_counter() + WARM_S
    ends_s, num_done = starts_s + seconds, 0
    for image in cycle(islice(cycle(images), index, index + len(images))):
        item = preparer.prepare(image + b"%0*d" % (MARK_BYTES, next(numbers)), image_id="image")
        (raw,) = runner.infer([item])
        finisher.finish(raw)
        now_s = time.perf_counter()
        if now_s >= ends_s:
            break
        num_done += now_s >= starts_s
    return num_done


if __name__ == "__main__":
    main(*sys.argv[1:])
