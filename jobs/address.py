"""Look whether a cluster answers before Ray connects: Ray 2.60 itself waits for more than a minute, then ends the
process.
"""

from __future__ import annotations

import re
import socket

from inference_core.errors import ConfigError

CONNECT_TIMEOUT_S = 5.0
HOST_AND_PORT = re.compile(r"^(?:ray://)?\[?(?P<host>[^\[\]/]+?)\]?:(?P<port>\d+)$")


def check_address(address: str, *, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
    """Raise ConfigError unless something listens at an address; ``auto`` and ``local`` are Ray's own to find.

    Raises:
        ConfigError: the address is the dashboard's, is malformed, or nothing answers there in time.
    """
    if address in ("auto", "local"):
        return
    if address.startswith(("http://", "https://")):
        raise ConfigError(
            f"must be HOST:PORT of the cluster, got the dashboard's {address!r}; leave RAY_ADDRESS to ray job submit, "
            "or name the port that ray start printed (6379)",
            key="execution.address",
        )
    found = HOST_AND_PORT.match(address)
    if found is None:
        raise ConfigError(f"must be HOST:PORT, ray://HOST:PORT or auto, got {address!r}", key="execution.address")
    try:
        socket.create_connection((found["host"], int(found["port"])), timeout=timeout_s).close()
    except (OSError, OverflowError) as exc:
        reason = f"no answer in {timeout_s:g} s" if isinstance(exc, TimeoutError) else str(exc)
        raise ConfigError(
            f"must be the address of a running cluster, got {address!r} ({reason}); start it, or unset RAY_ADDRESS",
            key="execution.address",
        ) from exc
