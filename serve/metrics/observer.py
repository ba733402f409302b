"""Everything that watches one process of a service: built once, put around its backend and its servers."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from serve.backend import Backend
from serve.metrics.access_log import AccessLogKind, build_access_log
from serve.metrics.exposition import write_exposition
from serve.metrics.gauges import Gauges
from serve.metrics.http_observer import HttpObserver
from serve.metrics.log_pipe import open_pipe
from serve.metrics.metered_backend import MeteredBackend
from serve.metrics.names import LOG_LINES_LOST
from serve.metrics.replica_files import WRITE_INTERVAL_S, ReplicaFiles
from serve.metrics.tally import Snapshot, Tally
from serve.metrics.visits import Visits
from serve.reply import App

if TYPE_CHECKING:
    from serve.metrics.grpc_observer import GrpcObserver


class Observer:
    """Counts and logs what a process answers; used on one event loop.

    Args:
        backend: what it answers with.
        access_log: how a line of each request is written.
        folder: that all processes of the service on this machine share; None where there is but one.
        replica: name of the process among all; None for one of host and process id.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        access_log: AccessLogKind = "none",
        folder: Path | None = None,
        replica: str | None = None,
    ) -> None:
        self._tally = Tally()
        self._log = build_access_log(access_log, stream=open_pipe(folder))
        self._visits = Visits(self._tally, log=self._log)
        self._gauges = Gauges(backend)
        self._replica = replica or f"{socket.gethostname()}-{os.getpid()}"
        self._files = None if folder is None else ReplicaFiles(folder, self._replica)
        self._writing: asyncio.Task[None] | None = None
        self.backend = MeteredBackend(backend, self._tally)
        """What the servers are to be given."""

    def around(self, app: App) -> HttpObserver:
        """An application, observed from outside of all else."""
        return HttpObserver(app, self._visits)

    def routes(self) -> Sequence[BaseRoute]:
        """What the application answers besides."""
        return [Route("/metrics", self._show, methods=["GET"])]

    def interceptor(self) -> GrpcObserver:
        """For the gRPC server."""
        from serve.metrics.grpc_observer import GrpcObserver

        return GrpcObserver(self._visits)

    def start(self) -> None:
        """Tell the other processes of the machine from now on; on the event loop."""
        if self._files is not None:
            self._writing = asyncio.ensure_future(self._write_on(self._files))

    async def close(self) -> None:
        """Write what waits in the log, and leave the other processes."""
        if self._writing is not None:
            self._writing.cancel()
        if self._files is not None:
            self._files.remove()
        if self._log is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._log.close)

    async def snapshot(self) -> Snapshot:
        """All metrics of this process."""
        snapshot = self._tally.snapshot(self._replica)
        if self._log is not None:
            snapshot.values[LOG_LINES_LOST.name] = {(): float(self._log.num_lost)}
        await self._gauges.fill(snapshot)
        return snapshot

    async def _show(self, request: Request) -> Response:
        """``GET /metrics``."""
        own, files, accept = await self.snapshot(), self._files, request.headers.get("accept", "")

        def write() -> tuple[bytes, str]:
            return write_exposition([own, *(files.read_others() if files else [])], accept=accept)

        body, content_type = await asyncio.get_running_loop().run_in_executor(None, write)
        return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})

    async def _write_on(self, files: ReplicaFiles) -> None:
        while True:
            snapshot = await self.snapshot()
            with suppress(OSError):  # of a full or swept disk: then the others do not tell of this process
                await asyncio.get_running_loop().run_in_executor(None, files.write, snapshot)
            await asyncio.sleep(WRITE_INTERVAL_S)
