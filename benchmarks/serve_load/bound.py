"""The bound: the core alone, in a process of its own, with a thread for each core and no server.

PYTHONPATH=benchmarks:. python -m serve_load.bound PACKAGE FOLDER SECONDS THREADS
"""

from __future__ import annotations

import json
import sys
import threading
import time
from itertools import count, cycle, islice
from pathlib import Path

from inference_core.models.package import load_package
from inference_core.pipeline import build_finisher, build_preparer, build_runner
from serve_load.wire import MARK_BYTES, read_images

WARM_S = 0.5


def main(package_uri: str, folder: str, seconds: str, threads: str) -> None:
    """Print images per second."""
    package, images = load_package(package_uri), read_images(Path(folder))
    num_done, numbers = [0] * int(threads), count()
    starts_s = time.perf_counter() + WARM_S + 1.0
    ends_s = starts_s + float(seconds)
    ready = threading.Barrier(int(threads))

    def work(index: int) -> None:
        preparer, finisher = build_preparer(package), build_finisher(package)
        runner = build_runner(package, device="cpu", batch_size=1, num_threads=1)
        ready.wait()
        for image in cycle(islice(cycle(images), index, index + len(images))):
            item = preparer.prepare(image + b"%0*d" % (MARK_BYTES, next(numbers)), image_id="image")
            (raw,) = runner.infer([item])
            finisher.finish(raw)
            now_s = time.perf_counter()
            if now_s >= ends_s:
                return
            num_done[index] += now_s >= starts_s

    workers = [threading.Thread(target=work, args=(index,)) for index in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(json.dumps({"images_per_s": sum(num_done) / float(seconds)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
