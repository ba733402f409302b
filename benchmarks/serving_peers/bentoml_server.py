"""The model behind BentoML, as its documentation recommends for a CPU: a worker process for each core.

THREADS=4 TASK=... MODEL=... CLASSES=... bentoml serve bentoml_server:Images --port 8000
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
from work import build_work


@bentoml.service(workers=int(os.environ["THREADS"]), traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Images:
    """One image as the body."""

    def __init__(self) -> None:
        self.work = build_work(num_threads=1)

    @bentoml.api
    def predict(self, image: Path, /) -> Any:
        """The answer."""
        return self.work(image.read_bytes())
