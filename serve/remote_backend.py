"""Models whose forwards run in other processes: Ray Serve's handles behind the same door."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from inference_core.items import PreparedItem
from serve.batch_queue import Deadline
from serve.errors import InternalError, OverloadedError, ServeError, UnavailableError
from serve.routes import Inferred

MAX_TRIES = 3
"""A forward changes nothing, so that one whose process died is done again elsewhere."""

logger = logging.getLogger(__name__)


class RemoteInferrer:
    """Infers in the replicas of one deployment.

    Args:
        handle: of the deployment.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def infer(self, item: PreparedItem, *, deadline: Deadline, views: int | None = None) -> Inferred:
        """See Inferrer.

        Raises:
            ServeError: as the replica raised it, or UnavailableError where all that were tried died.
        """
        for _ in range(MAX_TRIES):
            try:
                return await self._ask(item, deadline.at_s, views)
            except (RayActorError, DeploymentUnavailableError) as exc:
                logger.warning("a replica was lost: %s", type(exc).__name__)
        raise gone_error()

    async def probe(self) -> None:
        """See Inferrer. Replicas are looked after by Ray Serve; an edge is well without them."""

    def close(self) -> None:
        """See Inferrer."""

    async def _ask(self, item: PreparedItem, deadline_s: float | None, views: int | None) -> Inferred:
        response = self._handle.infer.remote(item, deadline_s, views)
        try:
            found: Inferred = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except BackPressureError as exc:
            raise OverloadedError("the model must have room in its queue, but it is full", retry_after_s=1) from exc
        except RayTaskError as exc:
            raise cause_of(exc) from exc
        return found


def cause_of(error: RayTaskError) -> ServeError:
    """What the replica raised; anything but ours is a mistake of ours."""
    cause = error.cause
    if isinstance(cause, ServeError):
        return cause
    logger.error("a replica failed: %s", error)
    return InternalError("the model failed on this request; the log of the service says why")


def gone_error() -> UnavailableError:
    """What requests are told while replicas are replaced."""
    return UnavailableError("the model must be running, but its processes are replaced; try again", retry_after_s=2)
