"""Models in this process behind the one door that HTTP, gRPC and WebSocket use."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from inference_core.errors import MillraceError
from inference_core.importing.importer import open_model
from serve.answer_cache import AnswerCache
from serve.answers import Answer, PredictRequest, ServedModel
from serve.config import ServeConfig, ServedModelConfig
from serve.errors import UnavailableError, UnknownModelError
from serve.model_facts import check_distinct, describe_model
from serve.model_server import ModelServer, closing_error


@dataclass(slots=True, kw_only=True, eq=False)
class Slot:
    """One served model, loaded or not."""

    config: ServedModelConfig
    facts: ServedModel
    server: ModelServer | None = None
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    num_users: int = 0
    """Requests that hold the server, so that it is not let go."""


class LocalBackend:
    """Serves models of this process. Used on one event loop.

    Args:
        slots: by name, in the order of the settings.
        config: of the service.
        cache: shared by all models.
        num_cpus: cores of this process; None for all that it sees.
    """

    def __init__(
        self, slots: Mapping[str, Slot], config: ServeConfig, *, cache: AnswerCache, num_cpus: int | None = None
    ) -> None:
        self._slots = dict(slots)
        self._config = config
        self._num_cpus = num_cpus
        self._lazy: OrderedDict[str, None] = OrderedDict()  # loaded ones, the one wanted last at the end
        self._is_closing = False
        self.cache = cache

    @classmethod
    def load(cls, config: ServeConfig, *, num_cpus: int | None = None) -> LocalBackend:
        """Load all models that are not lazy; takes seconds, outside of any event loop or in a thread.

        Raises:
            ConfigError: a setting, a package or a name is wrong.
            ModelError: a model does not load or does not work.
        """
        cache = AnswerCache(config.cache_bytes // config.num_edges)
        loaded = [load_slot(model, config, cache=cache, num_cpus=num_cpus) for model in config.models]
        check_distinct([slot.facts.name for slot in loaded])
        slots = {slot.facts.name: slot for slot in loaded}
        return cls(slots, config, cache=cache, num_cpus=num_cpus)

    async def predict(self, request: PredictRequest) -> Answer:
        """See Backend."""
        slot = self._slot(request.model)
        slot.num_users += 1
        try:
            server = slot.server or await self._wake(slot)
            return await server.predict(request)
        finally:
            slot.num_users -= 1

    async def models(self) -> Sequence[ServedModel]:
        """See Backend."""
        return [slot.facts for slot in self._slots.values()]

    async def model(self, name: str, *, version: str = "") -> ServedModel:
        """See Backend."""
        facts = self._slot(name).facts
        if version not in ("", facts.version, facts.digest):
            raise UnknownModelError(f"version of {name} must be {facts.version}, got {version!r:.80}; leave it out")
        return facts

    def default_model(self) -> str:
        """See Backend."""
        return next(iter(self._slots))

    def known_models(self) -> Sequence[str]:
        """See Backend."""
        return list(self._slots)

    def queued_images(self) -> Mapping[str, int]:
        """Images that wait, by model."""
        return {name: slot.server.num_waiting if slot.server else 0 for name, slot in self._slots.items()}

    async def check_health(self) -> None:
        """Raise where a loaded model does not work any more."""
        for slot in self._slots.values():
            if slot.server is not None:
                await slot.server.check_health()

    async def close(self) -> None:
        """Take nothing new and finish what was accepted, as long as the settings allow."""
        self._is_closing = True
        servers = [slot.server for slot in self._slots.values() if slot.server is not None]
        await asyncio.gather(*(server.close(timeout_s=self._config.graceful_timeout_s) for server in servers))

    def _slot(self, name: str) -> Slot:
        slot = self._slots.get(name or self.default_model())
        if slot is None:
            known = ", ".join(self._slots)
            raise UnknownModelError(f"model must be one of {known}, got {name!r:.80}; correct the name")
        if slot.config.is_lazy and slot.server is not None:
            self._lazy.move_to_end(slot.facts.name)
        return slot

    async def _wake(self, slot: Slot) -> ModelServer:
        """Load a lazy model for its first request; the others wait for the same."""
        async with slot.loading:
            if slot.server is not None:
                return slot.server
            if self._is_closing:
                raise closing_error()
            await self._make_room()
            loop = asyncio.get_running_loop()
            try:
                loaded = await loop.run_in_executor(
                    None,
                    lambda: load_slot(slot.config, self._config, cache=self.cache, num_cpus=self._num_cpus, wakes=True),
                )
            except MillraceError as exc:
                raise UnavailableError(
                    f"model {slot.facts.name} must load, but did not; the log of the service says why", retry_after_s=30
                ) from exc
            assert loaded.server is not None, "it was loaded"
            slot.server, slot.facts = loaded.server, loaded.facts
            self._lazy[slot.facts.name] = None
            return slot.server

    def _load_now(self, model: ServedModelConfig) -> Slot:
        return load_slot(model, self._config, cache=self.cache, num_cpus=self._num_cpus, wakes=True)

    async def _make_room(self) -> None:
        """Let lazy models go that nobody uses, those wanted longest ago first."""
        most = self._config.max_loaded
        while most is not None and len(self._lazy) >= most:
            idle = [name for name in self._lazy if not self._slots[name].num_users]
            if not idle:
                return  # one more for a while rather than none for those who ask
            slot = self._slots[idle[0]]
            server, slot.server = slot.server, None
            del self._lazy[idle[0]]
            slot.facts = replace(slot.facts, engine="", is_ready=False)
            if server is not None:
                await server.close()


def load_slot(
    model: ServedModelConfig,
    config: ServeConfig,
    *,
    cache: AnswerCache,
    num_cpus: int | None = None,
    wakes: bool = False,
) -> Slot:
    """Read a package and load its model, unless it is lazy.

    Args:
        model: how it is served.
        config: of the service.
        cache: for its answers.
        num_cpus: cores of this process.
        wakes: whether a lazy one is wanted now.

    Raises:
        ConfigError: see ``LocalBackend.load``.
        ModelError: likewise.
    """
    with ExitStack() as stack:
        package, _ = stack.enter_context(open_model(model.package, said={}, trusts_code=config.trust_package_code))
        if model.is_lazy and not wakes:
            return Slot(config=model, facts=describe_model(package, name=model.name or package.spec.name, engine=""))
        server = ModelServer.load(package, model, config, cache=cache, num_cpus=num_cpus)
        return Slot(config=model, facts=server.facts, server=server)
