"""One S3 client per process, shared by its threads, made from the environment as botocore does it."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, TypeVar

from fsspec.asyn import get_loop
from s3fs import S3FileSystem

Result = TypeVar("Result")

DEFAULT_ATTEMPTS = 6
"""Attempts per request, with exponential backoff, unless AWS_MAX_ATTEMPTS says otherwise."""
MAX_CONNECTIONS = 128
"""Connections to the endpoint; more requests than these wait for one."""


def filesystem() -> S3FileSystem:
    """The process's fsspec file system for S3, whose ``set_session`` gives its botocore client.

    A forked child and a process whose AWS_* variables changed get a new one.
    """
    environment = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(("AWS_", "FSSPEC_S3"))))
    return _filesystem(os.getpid(), environment)


def start(coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
    """Run a coroutine on fsspec's event loop, the client's too, which runs in a thread of its own."""
    return asyncio.run_coroutine_threadsafe(coroutine, get_loop())


def start_call(operation: str, **parameters: Any) -> Future[Any]:
    """Start an operation of the botocore client, by its and its parameters' botocore names."""
    return start(_call(operation, parameters))


def call(operation: str, **parameters: Any) -> Any:
    """The answer of an operation of the botocore client."""
    return start_call(operation, **parameters).result()


def backoff_s(attempt: int) -> float:
    """How long to wait after a failed attempt, counted from 0: random, so that clients do not come back together."""
    return random.uniform(0.0, min(5.0, 0.1 * 2**attempt))


async def _call(operation: str, parameters: dict[str, Any]) -> Any:
    client = await filesystem().set_session()
    return await getattr(client, operation)(**parameters)


@cache
def _filesystem(pid: int, environment: tuple[tuple[str, str], ...]) -> S3FileSystem:
    # botocore's newer modes do not repeat a 429 without a code, and stop repeating altogether where a hundred requests
    # failed in a row: in a long burst that would make error rows of images.
    retries: dict[str, Any] = {"mode": "legacy"}
    if "AWS_MAX_ATTEMPTS" not in os.environ:
        retries["total_max_attempts"] = DEFAULT_ATTEMPTS
    created = S3FileSystem(
        config_kwargs={
            "retries": retries,
            "connect_timeout": 5,
            "read_timeout": 30,
            "max_pool_connections": MAX_CONNECTIONS,
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    # botocore repeats requests already; this is for bodies that break off in files opened through s3fs.
    created.retries = 3
    return created
