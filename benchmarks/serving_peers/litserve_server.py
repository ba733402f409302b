"""The model behind LitServe, as its README recommends for throughput: a worker and an API server for each core, ZeroMQ.

    PORT=8000 THREADS=4 TASK=... MODEL=... CLASSES=... python litserve_server.py

Its examples send images as base64 in JSON; the raw body, through a dependency of FastAPI's, spares it that.
"""

import os
from typing import Annotated, Any

import litserve
from fastapi import Depends, Request
from work import build_work


async def read_body(request: Request) -> bytes:
    """The body as it is."""
    return await request.body()


class ImageApi(litserve.LitAPI):
    """One image as the body."""

    def setup(self, device: str) -> None:
        """Load the model, in each worker."""
        self.work = build_work(num_threads=1)

    # LitServe reads the annotation itself, so that it must be no text.
    def decode_request(self, request: Annotated[bytes, Depends(read_body)]) -> bytes:
        """The file's bytes."""
        return request

    def predict(self, data: bytes) -> Any:
        """The answer."""
        return self.work(data)

    def encode_response(self, output: Any) -> Any:
        """As it is."""
        return {"output": output}


if __name__ == "__main__":
    cores = int(os.environ["THREADS"])
    server = litserve.LitServer(ImageApi(), accelerator="cpu", workers_per_device=cores, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        num_api_servers=cores,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
