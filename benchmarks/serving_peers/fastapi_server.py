"""The model behind plain FastAPI: the event loop reads, a pool with a thread for each core works.

PORT=8000 THREADS=4 TASK=... MODEL=... CLASSES=... python fastapi_server.py
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from work import build_work

app = FastAPI()
work = build_work(num_threads=1)
pool = ThreadPoolExecutor(int(os.environ["THREADS"]))


@app.post("/predict")
async def predict(request: Request) -> Any:
    """One image as the body."""
    return await asyncio.get_running_loop().run_in_executor(pool, work, await request.body())


if __name__ == "__main__":
    port = int(os.environ["PORT"])
    uvicorn.run(
        app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
