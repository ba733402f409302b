"""The server under the HTTP application."""

from __future__ import annotations

from typing import Any

import uvicorn

from serve.config import ServeConfig
from serve.http_protocol import build_protocol

KEEP_ALIVE_S = 30
"""How long a connection may wait for its next request."""
BACKLOG = 2048


def build_server_config(app: Any, config: ServeConfig) -> uvicorn.Config:
    """How uvicorn runs the application: no name of the server, no log of its own, limits on connections."""
    return uvicorn.Config(
        app,
        host=config.http.host,
        port=config.http.port,
        loop="uvloop",
        http=build_protocol(config.http, config.limits),
        ws_max_size=config.limits.max_body_bytes,
        ws_per_message_deflate=False,  # frames are compressed already, and results are small
        server_header=False,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(config.graceful_timeout_s)),
        backlog=BACKLOG,
    )
