"""A service from its start to its end: connect or start Ray, deploy, wait, stop in order."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import serve

from inference_core.errors import ConfigError, JobError
from inference_core.importing.importer import open_model
from inference_core.native_output import quiet_stderr
from serve.config import ServeConfig
from serve.deployments import Layout, build_application
from serve.listener import Addresses, bind
from serve.metrics.log_pipe import LogPipe
from serve.metrics.replica_files import shared_folder
from serve.model_facts import check_distinct
from serve.replicas import free_memory_bytes, with_replicas

APPLICATION = "millrace"
"""Name of the application in Ray Serve."""
STORE_BYTES = 512 * 1024 * 1024


def package_digests(config: ServeConfig) -> tuple[str, ...]:
    """Digests of the packages, in the order of the models.

    Raises:
        ConfigError: a package is wrong, or cannot be imported, or two have one name.
    """
    digests, names = [], []
    for model in config.models:
        with open_model(model.package, said={}) as (package, _):
            digests.append(package.digest)
            names.append(model.name or package.spec.name)
    check_distinct(names)
    return tuple(digests)


def resolve_paths(config: ServeConfig) -> ServeConfig:
    """Local packages and files by absolute path: processes elsewhere have other working directories."""
    models = tuple(
        model.model_copy(update={"package": str(Path(model.package).resolve())})
        if Path(model.package).exists()
        else model
        for model in config.models
    )
    keys_file = config.security.keys_file
    security = config.security
    if keys_file is not None:
        security = security.model_copy(update={"keys_file": str(Path(keys_file).expanduser().resolve())})
    return config.model_copy(update={"models": models, "security": security})


def choose_layout(config: ServeConfig, *, num_gpus: float) -> Layout:
    """``auto`` as split where there are GPUs, else whole."""
    if config.layout != "auto":
        return config.layout
    return "split" if num_gpus else "whole"


def with_gpus(config: ServeConfig, *, num_gpus: float) -> ServeConfig:
    """Each model's share of GPUs: one where there are some and nobody says."""
    models = tuple(
        model if model.gpus is not None else model.model_copy(update={"gpus": 1.0 if num_gpus else 0.0})
        for model in config.models
    )
    return config.model_copy(update={"models": models})


@contextmanager
def ray_for(config: ServeConfig) -> Iterator[None]:
    """Ray, connected or started; a cluster that was started here ends with the context.

    Raises:
        ConfigError: there is no cluster at the address.
    """
    if ray.is_initialized():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    address = config.address or os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_worker_niceness", "0")  # what answers goes before what computes: see BatchWorkers
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if not address:
        options |= {
            "num_cpus": config.num_cpus or len(os.sched_getaffinity(0)),
            "include_dashboard": False,
            "object_store_memory": STORE_BYTES,
        }
    try:
        with quiet_stderr():
            ray.init(address=address or "local", **options)
    except (ConnectionError, ValueError) as exc:
        reason = str(exc).splitlines()[0]
        raise ConfigError(
            f"must be the address of a running cluster, got {address!r} ({reason}); start it", key="address"
        ) from exc
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray sets one that exits with the signal's number
    try:
        yield
    finally:
        ray.shutdown()


class RunningService:
    """A deployed service.

    Args:
        config: with ports that are settled.
        held: sockets that keep those ports from others while no replica listens.
    """

    def __init__(self, config: ServeConfig, held: list[socket.socket]) -> None:
        self.config = config
        self._held = held
        folder = shared_folder(config.http.port)
        self._log = None if folder is None else LogPipe(folder)

    @property
    def addresses(self) -> Addresses:
        """Where it answers."""
        http, grpc = self.config.http, self.config.grpc
        return Addresses(
            http_host=http.host, http_port=http.port, grpc_host=grpc.host, grpc_port=grpc.port if grpc.is_on else None
        )

    def deploy(self, config: ServeConfig) -> None:
        """Take other settings or packages: new replicas take over before the old ones go. Addresses stay.

        Raises:
            ConfigError: the settings are wrong; the old ones go on.
            JobError: the new replicas do not start; the old ones go on.
        """
        self.config = with_addresses(config, self.config)
        deploy(self.config)

    def stop(self) -> None:
        """Finish what was accepted, refuse what comes, end."""
        with quiet_stderr():  # Ray 2.60 calls the end of its own controller a failure
            serve.shutdown()
        if self._log is not None:
            self._log.close()
        for held in self._held:
            held.close()


def start_service(config: ServeConfig) -> RunningService:
    """Deploy a service on the connected cluster and wait until it answers.

    Raises:
        ConfigError: settings or packages are wrong, or a port is taken.
        JobError: the replicas do not start.
    """
    config, held = hold_ports(resolve_paths(config))
    service = RunningService(config, held)
    try:
        deploy(config)
    except BaseException:
        service.stop()
        raise
    return service


def build_for_cluster(config: ServeConfig) -> Any:
    """The application as the connected cluster can run it.

    Raises:
        ConfigError: settings or packages are wrong.
    """
    config = resolve_paths(config)
    num_gpus = ray.cluster_resources().get("GPU", 0.0)
    num_cpus = config.num_cpus or len(os.sched_getaffinity(0))
    layout = choose_layout(config, num_gpus=num_gpus)
    digests = package_digests(config)
    if layout == "whole":
        config = with_replicas(config, num_cpus=num_cpus, free_bytes=free_memory_bytes())
    return build_application(with_gpus(config, num_gpus=num_gpus), layout=layout, digests=digests, num_cpus=num_cpus)


def deploy(config: ServeConfig) -> None:
    """Deploy, or replace what is deployed, and wait until it answers."""
    application = build_for_cluster(config)
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    start_proxies(config)
    try:
        serve.run(application, name=APPLICATION, route_prefix=None if config.listener == "direct" else "/")
    except RuntimeError as exc:
        raise JobError(f"the service must start, but its replicas did not: {first_reason(exc)}") from exc


def start_proxies(config: ServeConfig) -> None:
    """Ray Serve's own listeners, or none."""
    if config.listener == "direct":
        serve.start(proxy_location="Disabled")
        return
    serve.start(
        proxy_location="EveryNode",
        http_options={
            "host": config.http.host,
            "port": config.http.port,
            "request_timeout_s": config.limits.timeout_s + config.http.body_timeout_s,
        },
    )


def first_reason(error: BaseException) -> str:
    """What of an error of Ray Serve tells the user something."""
    status = serve.status().applications.get(APPLICATION)
    text = "; ".join(found.message for found in status.deployments.values() if found.message) if status else ""
    lines = [line.strip() for line in (text or str(error)).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def hold_ports(config: ServeConfig) -> tuple[ServeConfig, list[socket.socket]]:
    """Settle ports that are open and keep them, so that nobody else takes them between two replicas.

    Raises:
        ConfigError: somebody listens there.
    """
    held = []
    updates: dict[str, Any] = {}
    places: dict[str, Any] = {"http": config.http, **({"grpc": config.grpc} if config.grpc.is_on else {})}
    for name, place in places.items():
        bind(place.host, place.port).close()  # fails where somebody else answers; sharing would split their clients
        keeper = bind(place.host, place.port, shares=True)
        held.append(keeper)
        updates[name] = place.model_copy(update={"port": keeper.getsockname()[1]})
    return config.model_copy(update=updates), held


def with_addresses(config: ServeConfig, old: ServeConfig) -> ServeConfig:
    """Settings with the addresses of others."""
    return config.model_copy(update={"http": old.http, "grpc": old.grpc})
