"""A service that really listens, in a process of its own and without Ray.

    python -m tests.serve.listening_service < settings.json

tells its addresses on standard output and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from serve.config import ServeConfig
from serve.listener import Addresses, Listener
from serve.local_backend import LocalBackend

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 5.0


@contextmanager
def listening_service(config: ServeConfig) -> Iterator[Addresses]:
    """Answers HTTP and gRPC until the block ends."""
    command = [sys.executable, "-m", "tests.serve.listening_service"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None, "it was asked for"
        assert process.stdout is not None, "likewise"
        process.stdin.write(config.model_dump_json() + "\n")
        process.stdin.flush()
        told = process.stdout.readline()
        assert told, "the service must start; what it wrote on standard error says why it did not"
        yield Addresses(**json.loads(told))
        process.stdin.close()
        assert process.wait() == 0


async def serve(config: ServeConfig) -> None:
    """Tell the addresses, then answer until standard input ends."""
    backend = LocalBackend.load(config, num_cpus=1)
    listener = Listener(backend, config)
    sys.stdout.write(json.dumps(asdict(await listener.start())) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await listener.drain(timeout_s=STOP_S)
    await backend.close()


if __name__ == "__main__":
    asyncio.run(serve(ServeConfig.model_validate_json(sys.stdin.readline())))
