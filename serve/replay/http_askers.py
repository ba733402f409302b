"""Ask over HTTP: ``/v1/predict`` with the file as the body, or the Open Inference Protocol with binary data."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from inference_core.errors import ConfigError
from serve.replay.given import Given

TIMEOUT_S = 120.0
NUM_TRIES = 8
"""Of one image: a service that has no room says when to come again."""
BUSY = frozenset({429, 503})
MAX_PAUSE_S = 30.0
TOO_LARGE = "too-large"


class Connections:
    """Kept connections to one service, one for each thread.

    Args:
        url: of the service, with http or https; a path stands before all others.
        key: API key, "" for none.

    Raises:
        ConfigError: the URL is none.
    """

    def __init__(self, url: str, *, key: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"must be a URL with http or https, got {url!r}; e.g. http://127.0.0.1:8000", key="url")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._own = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of an answer, after waiting where the service is busy.

        Raises:
            OSError, HTTPException: it could not be reached.
        """
        status, answer, pause_s = self._try(path, body, headers)
        for _ in range(NUM_TRIES - 1):
            if status not in BUSY:
                break
            time.sleep(min(pause_s, MAX_PAUSE_S))
            status, answer, pause_s = self._try(path, body, headers)
        return status, answer

    def close(self) -> None:
        """Close all."""
        for connection in self._all:
            connection.close()

    def _try(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, float]:
        """Status, body and seconds to wait before another try; one new connection where the kept one was closed."""
        is_kept = self._connection().sock is not None
        try:
            return self._send(path, body, headers)
        except (http.client.HTTPException, ConnectionError):
            self._connection().close()
            if not is_kept:
                raise
            return self._send(path, body, headers)

    def _send(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes, float]:
        connection = self._connection()
        connection.request("POST", f"{self._prefix}{path}", body, {**self._headers, **headers})
        answer = connection.getresponse()
        after = answer.getheader("Retry-After", "")
        return answer.status, answer.read(), float(after) if after.isdigit() else 1.0

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._kind(self._host, self._port, timeout=TIMEOUT_S)
            self._own.connection = found
            self._all.append(found)
        return found


class PredictAsker:
    """Asks ``/v1/predict``.

    Args:
        url: of the service.
        model: "" for its default.
        key: API key, "" for none.
    """

    def __init__(self, url: str, *, model: str = "", key: str = "") -> None:
        self._connections = Connections(url, key=key)
        self._model = model

    def ask(self, image: bytes, *, with_mask: bool) -> Given:
        """See Asker."""
        query = {**({"model": self._model} if self._model else {}), **({"mask": "true"} if with_mask else {})}
        path = f"/v1/predict?{urlencode(query)}" if query else "/v1/predict"
        headers = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
        try:
            status, body = self._connections.post(path, image, headers)
        except (http.client.HTTPException, OSError) as exc:
            return unreachable(exc)
        answer = read_object(body)
        if status != 200:
            return given_of_problem(answer, status=status)
        mask = answer.get("mask")
        return Given(
            values=answer.get("prediction", {}),
            mask_png=None if mask is None else base64.b64decode(mask["data"]),
            model_digest=answer.get("model_digest", ""),
        )

    def close(self) -> None:
        """See Asker."""
        self._connections.close()


class OipAsker:
    """Asks ``/v2/models/MODEL/infer``.

    Args:
        url: of the service.
        model: as the service names it.
        key: API key, "" for none.
    """

    def __init__(self, url: str, *, model: str, key: str = "") -> None:
        self._connections = Connections(url, key=key)
        self._path = f"/v2/models/{quote(model, safe='')}/infer"

    def ask(self, image: bytes, *, with_mask: bool) -> Given:
        """See Asker."""
        data = len(image).to_bytes(4, "little") + image
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(data)}}
        names = ["row", "mask_png"] if with_mask else ["row"]
        head = json.dumps({"inputs": [tensor], "outputs": [{"name": name} for name in names]}).encode()
        headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
        try:
            status, body = self._connections.post(self._path, head + data, headers)
        except (http.client.HTTPException, OSError) as exc:
            return unreachable(exc)
        answer = read_object(body)
        if status != 200:
            return given_of_problem(answer, status=status)
        found = {output["name"]: output["data"][0] for output in answer["outputs"]}
        mask = base64.b64decode(found["mask_png"]) if with_mask else None
        digest = answer.get("parameters", {}).get("model_digest", "")
        return Given(values=json.loads(found["row"]), mask_png=mask, model_digest=digest)

    def close(self) -> None:
        """See Asker."""
        self._connections.close()


def unreachable(error: Exception) -> Given:
    """What stands for the answer of a service that gave none."""
    return Given(refusal=f"no answer: {error or type(error).__name__}")


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body, empty where it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def given_of_problem(problem: Mapping[str, Any], *, status: int) -> Given:
    """What a problem says of an image: its record, or why there is none."""
    record, told = problem.get("record"), problem.get("detail") or problem.get("error")
    if isinstance(record, dict):
        return Given(values=record)
    if "image_status" in problem:
        return Given(values={"status": problem["image_status"], "error": told}, is_whole=False)
    if str(problem.get("kind") or problem.get("type")).endswith(TOO_LARGE):
        return Given(values={"status": "too_large"}, is_whole=False)
    return Given(refusal=f"HTTP {status}: {told or 'no word of it'}")
