"""Notice that a cluster has lost its head. Ray 2.60 waits for it, deaf to everything, and then ends the process without
a word; this is to speak first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from inference_core.errors import ConfigError
from jobs.address import check_address

RAYS_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""Ray's own setting: how long it waits for a head that is gone, by default a minute."""
RAYS_DEFAULT_S = 60.0
SHARE_OF_RAYS = 0.75
"""Of that time, until the run is ended with its reason."""
LOOK_INTERVAL_S = 2.0


class HeadWatch:
    """Counts for how long a cluster's head has not answered.

    Args:
        address: HOST:PORT.
        patience_s: without an answer, until there is a reason to end the run.
    """

    def __init__(self, address: str, *, patience_s: float) -> None:
        self._address = address
        self._patience_s = patience_s
        self._lost_s: float | None = None

    def find_reason(self) -> str | None:
        """What the user is told of a head that is gone; None while it answers, or may again."""
        try:
            check_address(self._address)
        except ConfigError:
            now = time.monotonic()
            self._lost_s = now if self._lost_s is None else self._lost_s
            return self._text() if now - self._lost_s >= self._patience_s else None
        self._lost_s = None
        return None

    def _text(self) -> str:
        return (
            f"the run stopped: the cluster's head at {self._address} must answer, got nothing for "
            f"{self._patience_s:g} s; what is committed stays, and the same command goes on from there when a cluster "
            "is there again"
        )


def head_patience_s(environment: Mapping[str, str] = os.environ) -> float:
    """How long to wait for a head that is gone: less than Ray does."""
    try:
        return SHARE_OF_RAYS * float(environment.get(RAYS_PATIENCE, RAYS_DEFAULT_S))
    except ValueError:
        return SHARE_OF_RAYS * RAYS_DEFAULT_S
