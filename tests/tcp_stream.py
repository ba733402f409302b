"""A stream on the loopback interface that sends something to each client and then breaks off."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def tcp_stream(*sent: bytes) -> Iterator[str]:
    """The URL of a stream that sends one piece to each client; when there is none left, clients are refused."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for data in sent:
            with suppress(OSError):
                client, _ = listener.accept()
                with client:
                    client.sendall(data)
        listener.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
