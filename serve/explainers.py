"""Explanations in the process that answers: a bounded queue, one thread, and each model loaded with its first one.

They are no business of the queues of predictions: one takes as long as some hundred of those, and its hooks and
gradients need a copy of the model of their own.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from inference_core.errors import ConfigError, InputError, MillraceError
from inference_core.explain.explainer import Explainer
from inference_core.explain.explanation import Explanation
from inference_core.export.rows import row_of
from inference_core.images import Limits
from inference_core.importing.importer import open_model
from inference_core.items import Prediction
from inference_core.records import SourceFacts
from inference_core.visualize.heatmap import encode_png
from serve.answers import ServedModel
from serve.batch_queue import Deadline, late_error
from serve.batch_workers import guarded
from serve.config import ServeConfig, ServedModelConfig
from serve.errors import BadImageError, InvalidRequestError, OverloadedError, UnavailableError
from serve.explain_asked import ExplainAsked
from serve.model_facts import without_places

MAX_RETRY_AFTER_S = 60

Explained = tuple[Explanation, bytes]
"""An explanation, and its picture where one was asked for."""


class Explainers:
    """Explains for all models of a service. ``explain`` runs on one event loop.

    Args:
        config: of the service.
    """

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self._loaded: dict[str, Explainer] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="explain")
        self._num_accepted = 0
        self._last_s = 1.0

    async def explain(
        self, image: bytes, asked: ExplainAsked, facts: ServedModel, *, index: int, deadline_s: float, has_picture: bool
    ) -> Explained:
        """Explain the answer to one image; cancelling the call takes it out of the queue.

        Args:
            image: encoded.
            asked: how.
            facts: of the model.
            index: of the model in the settings.
            deadline_s: on the clock of ``time.time``; what has not begun by then is dropped.
            has_picture: whether a picture is made.

        Raises:
            OverloadedError: as many as may wait do.
            DeadlineError: its turn came too late.
            InvalidRequestError: the method, the class or the layer does not go with the model.
            BadImageError: the image cannot be used, or shows nothing of the class.
            UnavailableError: the model does not load, or is another one by now.
        """
        most = self._config.limits.max_explaining
        if self._num_accepted >= most:
            wait_s = math.ceil(self._last_s * max(1, self._num_accepted))
            raise OverloadedError(
                f"explanations must be at most {most} at once, got one more; try again later",
                retry_after_s=max(1, min(MAX_RETRY_AFTER_S, wait_s)),
            )
        self._num_accepted += 1
        deadline = Deadline(at_s=deadline_s)

        def work() -> Explained:
            if deadline.is_over:
                raise late_error()
            return guarded(lambda: self._work(image, asked, facts, index=index, has_picture=has_picture))

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._num_accepted -= 1

    def _work(
        self, image: bytes, asked: ExplainAsked, facts: ServedModel, *, index: int, has_picture: bool
    ) -> Explained:
        """In the thread."""
        started_s = perf_counter()
        explainer = self._explainer(self._config.models[index], facts)
        try:
            explanation = explainer.explain(
                image,
                method=asked.method,
                class_name=asked.class_name,
                layer=asked.layer,
                object_index=asked.object_index,
                image_id=asked.image_id,
            )
            picture = encode_png(explainer.draw(image, explanation)) if has_picture else b""
        except InputError as exc:
            prediction = Prediction(
                source=SourceFacts(image_id=asked.image_id),
                status=exc.status,
                error=str(exc),
                model_digest=facts.digest,
            )
            row = {name: value for name, value in row_of(prediction, None, row_id=0).items() if name != "row_id"}
            raise BadImageError(str(exc), status=exc.status, record=row) from exc
        except ConfigError as exc:
            raise InvalidRequestError(without_places(str(exc))) from exc
        self._last_s = perf_counter() - started_s
        return explanation, picture

    def _explainer(self, model: ServedModelConfig, facts: ServedModel) -> Explainer:
        """The model's, loaded when it is first needed.

        Raises:
            InvalidRequestError: the model's task has nothing to explain.
            UnavailableError: it does not load, or its package has changed.
        """
        if facts.name in self._loaded:
            return self._loaded[facts.name]
        if facts.task == "embedding":
            raise InvalidRequestError(
                f"model must be of a task with classes to be explained, got {facts.name} of task embedding; ask another"
            )
        limits = self._config.limits
        try:
            with open_model(model.package, said={}, trusts_code=self._config.trust_package_code) as (package, _):
                if package.digest != facts.digest:
                    raise UnavailableError(
                        f"model {facts.name} must be as it was when the service began, but its package has changed; "
                        "restart the service"
                    )
                explainer = Explainer(
                    package,
                    device="cpu" if model.device == "cpu" else "auto",
                    engine=model.engine,
                    num_threads=model.num_threads,
                    limits=Limits(max_bytes=limits.max_image_bytes, max_pixels=limits.max_pixels),
                )
        except MillraceError as exc:
            if isinstance(exc, UnavailableError):
                raise
            raise UnavailableError(
                f"model {facts.name} must load to be explained, but did not; the log of the service says why"
            ) from exc
        self._loaded[facts.name] = explainer
        return explainer
