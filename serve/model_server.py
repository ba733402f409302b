"""One model in one process: options, answers known already, a bounded queue, and the three verbs behind it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable

from inference_core.models.package import ModelPackage
from inference_core.provenance import sha256_hex
from serve.answer_cache import AnswerCache, relabelled
from serve.answers import Answer, PredictRequest, ServedModel
from serve.batch_queue import Deadline, late_error
from serve.config import ServeConfig, ServedModelConfig
from serve.errors import OverloadedError, UnavailableError
from serve.flights import Flights
from serve.inference import Inference
from serve.model_facts import describe_model
from serve.predict_images import MAX_UNDER_WAY
from serve.routes import Job, LocalInferrer, Route, StagedRoute, WholeRoute
from serve.verbs import Verbs

HASH_ON_LOOP_BYTES = 512 * 1024
"""Larger images are hashed in a thread: a millisecond of the event loop is everybody's."""
QUEUE_FACTOR = 4
"""Images that wait at most, for each that is under way, where nobody says."""
SMOOTHING = 0.1
"""Weight of the newest image in the mean time of one."""
MAX_RETRY_AFTER_S = 30
HEALTH_TIMEOUT_S = 10.0
FRESH_S = 5.0
"""A forward that succeeded so lately proves that the device works."""


class ModelServer:
    """Answers requests for one model; used on one event loop.

    Args:
        facts: what is told of the model.
        verbs: its prepare and finish.
        route: computes answers.
        capacity: images under way at most.
        max_queue: images that wait besides.
        cache: of answers, may be shared with other models.
        health: raises where the device is known to be broken.
        was_good_within: whether a forward succeeded in the last so many seconds.
    """

    def __init__(
        self,
        facts: ServedModel,
        verbs: Verbs,
        route: Route,
        *,
        capacity: int,
        max_queue: int,
        cache: AnswerCache,
        was_good_within: Callable[[float], bool] = lambda seconds: False,
    ) -> None:
        self.facts = facts
        self._verbs = verbs
        self._route = route
        self._capacity = capacity
        self._max_accepted = capacity + max_queue
        self._cache = cache
        self._was_good_within = was_good_within
        self._flights = Flights()
        self._num_accepted = 0
        self._mean_s = 0.0
        self._is_closing = False

    @classmethod
    def load(
        cls,
        package: ModelPackage,
        model: ServedModelConfig,
        config: ServeConfig,
        *,
        cache: AnswerCache,
        num_cpus: int | None = None,
    ) -> ModelServer:
        """Load a model into this process and warm it up; takes seconds.

        Raises:
            ConfigError: the device, the engine or an extra cannot be had.
            ModelError: the model does not load or does not work.
        """
        inference = Inference(package, model, num_cpus=num_cpus)
        verbs = build_verbs(package, model, config)
        settings = inference.settings
        wait_s = model.batch_wait_ms / 1000
        route: Route
        if settings.is_cuda:
            threads = max(2, num_cpus or 4)
            route = StagedRoute(verbs, LocalInferrer(inference, wait_s=wait_s), num_threads=threads)
        else:
            route = WholeRoute(verbs, inference, wait_s=wait_s)
        capacity = settings.batch_size * settings.concurrent_batches
        return cls(
            describe_model(package, name=model.name or package.spec.name, engine=str(inference.facts)),
            verbs,
            route,
            capacity=capacity,
            max_queue=model.max_queue or default_queue(capacity, num_replicas=config.num_edges),
            cache=cache,
            was_good_within=inference.health.was_good_within,
        )

    @property
    def num_accepted(self) -> int:
        """Images that are waiting or under way."""
        return self._num_accepted

    @property
    def num_waiting(self) -> int:
        """Of these, images that are more than can be under way."""
        return max(0, self._num_accepted - self._capacity)

    async def predict(self, request: PredictRequest) -> Answer:
        """Answer one image; see Backend."""
        if self._is_closing:
            raise closing_error()
        self._verbs.check(request)
        self._check_room()  # before any work for one who is refused: what is spent on those is taken from the others
        image = request.image
        key, exact_key, sha256 = None, None, ""
        if isinstance(image, bytes):  # answers to tiles are not kept
            mark, sha256 = await fingerprint(image)
            key, exact_key = self._key(request, mark), self._key(request, image)
            if (known := self._find_known(key, image, sha256)) is not None:
                return relabelled(known, request)
        flight = self._flights.join_or_begin(
            exact_key,
            lambda deadline: self._begin(Job(request=request, sha256=sha256), deadline, key=key),
            at_s=request.deadline_s,
        )
        answer = await flight.wait(timeout_s=seconds_until(request.deadline_s))
        source = answer.prediction.source
        is_own = (source.image_id, source.uri) == (request.image_id, request.uri)
        return answer if is_own else relabelled(answer, request)

    async def check_health(self) -> None:
        """Run a blank image, unless a forward succeeded just now.

        Raises:
            ServeError: the model does not work.
            TimeoutError: it takes too long.
        """
        if not self._was_good_within(FRESH_S):
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                await self._route.probe()

    async def close(self, *, timeout_s: float = 0.0) -> None:
        """Take nothing new, finish what was accepted for so long, then end the threads."""
        self._is_closing = True
        until_s = time.monotonic() + timeout_s
        while self._num_accepted and time.monotonic() < until_s:
            await asyncio.sleep(0.01)
        await asyncio.get_running_loop().run_in_executor(None, self._route.close)

    def _find_known(self, key: Hashable, image: bytes, sha256: str) -> Answer | None:
        """The answer that was given for the same bytes; that they are is proved by their SHA-256."""
        known = self._cache.get(key)
        if known is None or known.prediction.source.sha256 != (sha256 or sha256_hex(image)):
            return None
        return known

    def _begin(self, job: Job, deadline: Deadline, *, key: Hashable | None) -> asyncio.Future[Answer]:
        """Accept a request that nobody has under way."""
        if deadline.is_over:
            raise late_error()
        self._check_room()
        future = self._route.begin(job, deadline=deadline)
        self._num_accepted += 1
        future.add_done_callback(lambda done: self._note_end(done, key))
        return future

    def _note_end(self, done: asyncio.Future[Answer], key: Hashable | None) -> None:
        self._num_accepted -= 1
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        if key is not None:
            self._cache.put(key, answer)
        times = answer.prediction.stage_ms
        own_s = (times.prepare + times.infer + times.finish) / 1000
        self._mean_s += SMOOTHING * (own_s - self._mean_s) if self._mean_s else own_s

    def _check_room(self) -> None:
        """Tell a request that finds the queue full when its turn might come.

        Raises:
            OverloadedError: it is full.
        """
        if self._route.num_open < self._max_accepted:
            return
        wait_s = self._num_accepted * self._mean_s / max(1, self._capacity)
        raise OverloadedError(
            f"model {self.facts.name} must have room in its queue, but {self._num_accepted} images wait or are under "
            "way; try again later",
            retry_after_s=max(1, min(MAX_RETRY_AFTER_S, math.ceil(wait_s))),
        )

    def _key(self, request: PredictRequest, image: Hashable) -> Hashable:
        """What decides an answer; the mask and the uncertainties are in it in any case."""
        options = request.options
        name, digest = self.facts.name, self.facts.digest
        return image, name, digest, options.top_k, options.threshold, options.views, options.with_probabilities


async def fingerprint(image: bytes) -> tuple[Hashable, str]:
    """What finds bytes that may have been seen before, and their SHA-256 where it is known by then.

    Python's own hash of bytes keeps the interpreter; hashlib lets other threads go first, and the event loop would wait
    for its turn with each request.
    """
    if len(image) <= HASH_ON_LOOP_BYTES:
        return (hash(image), len(image)), ""
    sha256 = await asyncio.get_running_loop().run_in_executor(None, sha256_hex, image)
    return sha256, sha256


def build_verbs(package: ModelPackage, model: ServedModelConfig, config: ServeConfig) -> Verbs:
    """Prepare and finish of a model under the limits of a service."""
    return Verbs(
        package,
        name=model.name or package.spec.name,
        max_image_bytes=config.limits.max_image_bytes,
        max_pixels=config.limits.max_pixels,
    )


def default_queue(capacity: int, *, num_replicas: int) -> int:
    """How many may wait in one process where nobody says: few, so that what is accepted is answered soon, and always
    one call with several images.

    Args:
        capacity: images under way at most, in this process.
        num_replicas: processes of this machine that share its cores and what comes.
    """
    return max(QUEUE_FACTOR * capacity // num_replicas, MAX_UNDER_WAY - capacity, 1)


def seconds_until(at_s: float | None) -> float | None:
    """Seconds until a time on the clock of ``time.time``."""
    return None if at_s is None else at_s - time.time()


def closing_error() -> UnavailableError:
    """What requests are told that come while a process finishes those before."""
    return UnavailableError("the service must be running, but it stops; try again in a moment", retry_after_s=1)
