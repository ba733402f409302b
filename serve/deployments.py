"""A service as deployments of Ray Serve.

Whole: replicas that answer, prepare, infer and finish. Split: replicas that answer, prepare and finish on CPUs, and for
each model replicas that infer, on GPUs where there are some.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping
from typing import Any, Literal

from ray import serve
from ray.serve.handle import DeploymentHandle

from inference_core.errors import ConfigError
from inference_core.importing.importer import open_model
from inference_core.items import PreparedItem
from inference_core.validation import build_settings
from serve.answer_cache import AnswerCache
from serve.batch_queue import Deadline
from serve.config import ServeConfig, ServedModelConfig
from serve.inference import Inference
from serve.listener import Listener
from serve.local_backend import LocalBackend, Slot
from serve.loop_thread import LoopThread
from serve.model_facts import describe_model
from serve.model_server import ModelServer, build_verbs, default_queue
from serve.remote_backend import RemoteInferrer
from serve.routes import Inferred, LocalInferrer, StagedRoute
from serve.verbs import without_weights

Layout = Literal["whole", "split"]

EDGE = "edge"
"""The deployment that answers."""
HEALTH_PERIOD_S = 2.0
"""Ray Serve replaces a replica after three bad answers in a row."""
START_TIMEOUT_S = 600.0
SPARE_S = 5.0
"""What Ray gives a replica beyond its own time to stop."""
EDGE_REQUESTS = 1024
"""Requests that Ray Serve's proxies may have under way with one edge; it refuses by itself."""


class Edge:
    """Answers HTTP and gRPC at ports of its own.

    Args:
        settings: of the service, as ``ServeConfig`` reads them.
        digests: of the packages: another one makes another version of the deployment.
        handles: split layout: of each model's deployment, by the model's place in the settings; else none.
    """

    async def __init__(  # type: ignore[misc] # Ray Serve awaits it
        self, settings: Mapping[str, Any], digests: tuple[str, ...], handles: Mapping[str, DeploymentHandle]
    ) -> None:
        self._config = build_settings(ServeConfig, settings, origin="settings")
        self._backend = await build_backend(self._config, handles)
        self._thread = LoopThread(new_loop)
        self._listener = Listener(self._backend, self._config, shares_ports=True)
        await asyncio.wrap_future(self._thread.begin(self._listener.start()))

    async def check_health(self) -> None:
        """Raise where a model does not work any more, so that Ray Serve replaces the replica."""
        await asyncio.wrap_future(self._thread.begin(self._backend.check_health()))

    async def __del__(self) -> None:
        """Finish what was accepted; Ray Serve awaits this before it ends the process."""
        await asyncio.wrap_future(self._thread.begin(self._stop()))

    async def _stop(self) -> None:
        await self._listener.drain(timeout_s=self._config.graceful_timeout_s)
        await self._backend.close()


class ProxiedEdge:
    """Answers what Ray Serve's proxies bring; gRPC at a port of its own, as those would ask for another client.

    Args:
        settings: see Edge.
        digests: likewise.
        handles: likewise.
    """

    async def __init__(  # type: ignore[misc] # Ray Serve awaits it
        self, settings: Mapping[str, Any], digests: tuple[str, ...], handles: Mapping[str, DeploymentHandle]
    ) -> None:
        self._config = build_settings(ServeConfig, settings, origin="settings")
        self._backend = await build_backend(self._config, handles)
        self._listener = Listener(self._backend, self._config, shares_ports=True, has_http=False)
        await self._listener.start()

    def __serve_build_asgi_app__(self) -> Any:  # Ray Serve's name for it
        """The application, for Ray Serve."""
        return self._listener.app

    async def check_health(self) -> None:
        """See Edge."""
        await self._backend.check_health()

    async def __del__(self) -> None:
        """Finish what was accepted; Ray Serve has waited for its own requests already."""
        await self._listener.drain(timeout_s=self._config.graceful_timeout_s)
        await self._backend.close()


class ModelReplica:
    """Infers for one model.

    Args:
        model: settings, as ``ServedModelConfig`` reads them.
        digest: of the package; another one makes another version of the deployment.
        num_cpus: cores that it may use.
        trusts_code: whether code that lies in the package may be run.
    """

    def __init__(self, model: Mapping[str, Any], digest: str, num_cpus: int, trusts_code: bool) -> None:
        config = build_settings(ServedModelConfig, model, origin="settings")
        with open_model(config.package, said={}, trusts_code=trusts_code) as (package, _):
            self._inference = Inference(package, config, num_cpus=num_cpus)
        self._inferrer = LocalInferrer(self._inference, wait_s=config.batch_wait_ms / 1000)

    async def infer(self, item: PreparedItem, deadline_s: float | None, views: int | None) -> Inferred:
        """One image's raw output; it shares forwards with those of all edges."""
        return await self._inferrer.infer(item, deadline=Deadline(at_s=deadline_s), views=views)

    async def facts(self) -> tuple[str, int]:
        """What runs the model, and images under way at most."""
        settings = self._inference.settings
        return str(self._inference.facts), settings.batch_size * settings.concurrent_batches

    async def check_health(self) -> None:
        """Raise where the model does not work any more, so that Ray Serve replaces the replica."""
        if not self._inference.health.was_good_within(HEALTH_PERIOD_S):
            await self._inferrer.probe()

    async def __del__(self) -> None:
        """Finish what was accepted."""
        await asyncio.get_running_loop().run_in_executor(None, self._inferrer.close)


def new_loop() -> asyncio.AbstractEventLoop:
    """The fastest loop that there is."""
    import uvloop

    return uvloop.new_event_loop()


async def build_backend(config: ServeConfig, handles: Mapping[str, DeploymentHandle]) -> LocalBackend:
    """Models in this process, or behind handles."""
    if not handles:
        return await asyncio.to_thread(LocalBackend.load, config, num_cpus=cores_of_one(config))
    cache = AnswerCache(config.cache_bytes)
    slots = [
        await remote_slot(model, config, handles[str(index)], cache=cache) for index, model in enumerate(config.models)
    ]
    return LocalBackend({slot.facts.name: slot for slot in slots}, config, cache=cache)


def cores_of_one(config: ServeConfig) -> int:
    """Forwards that one of a machine's processes may have under way: two for each core in all of them together, so
    that a client with a single connection has more than one.
    """
    cores = config.num_cpus or len(os.sched_getaffinity(0))
    return cores if config.num_edges == 1 else max(1, math.ceil(2 * cores / config.num_edges))


async def remote_slot(
    model: ServedModelConfig, config: ServeConfig, handle: DeploymentHandle, *, cache: AnswerCache
) -> Slot:
    """One model whose forwards run elsewhere; waits until it is loaded there."""
    async with asyncio.timeout(START_TIMEOUT_S):
        engine, capacity = await handle.facts.remote()
    with open_model(model.package, said={}, trusts_code=config.trust_package_code) as (opened, _):
        verbs = build_verbs(opened, model, config)
        package = without_weights(opened)
    most = capacity * (model.max_replicas or model.num_replicas)
    server = ModelServer(
        describe_model(package, name=model.name or package.spec.name, engine=engine),
        verbs,
        StagedRoute(verbs, RemoteInferrer(handle), num_threads=4),
        capacity=most,
        max_queue=model.max_queue or default_queue(most, num_replicas=1),
        cache=cache,
    )
    return Slot(config=model.model_copy(update={"is_lazy": False}), facts=server.facts, server=server)


def build_application(config: ServeConfig, *, layout: Layout, digests: tuple[str, ...], num_cpus: int) -> Any:
    """The service as an application of Ray Serve; starts nothing.

    Args:
        config: of the service.
        layout: whole or split.
        digests: of the packages, in the order of the models.
        num_cpus: cores of one machine.

    Raises:
        ConfigError: the settings ask for what the layout has not.
    """
    check_layout(config, layout)
    settings = config.model_dump(mode="json")
    handles = {}
    if layout == "split":
        handles = {
            str(index): bind_model(model, digests[index], config, index=index, num_cpus=num_cpus)
            for index, model in enumerate(config.models)
        }
    replicas = config.edges if layout == "split" else config.num_edges
    edge = serve.deployment(
        Edge if config.listener == "direct" else serve.ingress(None)(ProxiedEdge),
        name=EDGE,
        num_replicas=replicas,
        max_ongoing_requests=EDGE_REQUESTS,
        # Successors start beside those that they replace, so all together ask for half of the cores.
        ray_actor_options={"num_cpus": min(1.0, num_cpus / (2 * replicas)), "num_gpus": 0},
        **replacement_options(config),
    )
    return edge.bind(settings, digests, handles)


def bind_model(model: ServedModelConfig, digest: str, config: ServeConfig, *, index: int, num_cpus: int) -> Any:
    """The deployment of one model's forwards."""
    concurrent = model.concurrent_batches or num_cpus
    under_way = (model.batch_size or 32) * max(2, concurrent)
    scaling: dict[str, Any] = {"num_replicas": model.num_replicas}
    if model.max_replicas is not None:
        scaling = {
            "autoscaling_config": {
                "min_replicas": model.num_replicas,
                "max_replicas": model.max_replicas,
                "target_ongoing_requests": max(1, under_way // 2),
                "upscale_delay_s": 5,
            }
        }
    gpus = model.gpus or 0
    deployment = serve.deployment(
        ModelReplica,
        name=f"model-{index}-{model.name or 'unnamed'}",
        max_ongoing_requests=2 * under_way,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
        **scaling,
        **replacement_options(config),
    )
    return deployment.bind(model.model_dump(mode="json"), digest, num_cpus, config.trust_package_code)


def replacement_options(config: ServeConfig) -> dict[str, Any]:
    """How replicas are looked after and replaced: a new one is ready before an old one goes."""
    return {
        "max_surge_percent": 100,
        "health_check_period_s": HEALTH_PERIOD_S,
        "health_check_timeout_s": 15.0,
        "graceful_shutdown_wait_loop_s": 0.1,
        "graceful_shutdown_timeout_s": config.graceful_timeout_s + SPARE_S,
    }


def check_layout(config: ServeConfig, layout: Layout) -> None:
    """Raise ConfigError for settings that a layout cannot follow."""
    for model in config.models:
        if layout == "whole" and model.max_replicas is not None:
            raise ConfigError(
                "must be absent with layout whole, whose replicas answer by themselves, got "
                f"{model.max_replicas}; set replicas, or layout split",
                key="models.max_replicas",
            )
