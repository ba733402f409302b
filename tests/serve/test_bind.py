from __future__ import annotations

import socket

import pytest

from inference_core.errors import ConfigError
from serve.listener import bind


def test_connections_do_not_wait_for_acknowledgements() -> None:
    """The body of an answer would follow its headers 40 ms later."""
    with bind("127.0.0.1", 0) as bound:
        bound.listen()
        with socket.create_connection(bound.getsockname()):
            accepted, _ = bound.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_refused() -> None:
    with bind("127.0.0.1", 0) as bound:
        bound.listen()
        with pytest.raises(ConfigError, match="must be a free address of this machine"):
            bind("127.0.0.1", bound.getsockname()[1])
