"""The examples of docs/serving.md for plain HTTP, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from serve import errors
from serve.http_protocol import HeadTooLargeError
from serve.problems import TYPE_PREFIX
from tests.drawn_images import png_bytes
from tests.integration.documented import SERVING, documented_blocks
from tests.serve.http_service import HttpService, http_service
from tests.serve.tiny_service import tiny_config

pytestmark = pytest.mark.integration

EXPECTED = (
    r'\{"model":"mobilenet","model_digest":"[0-9a-f]{64}".*"status":"ok".*"timings":\{.*\}',
    r"ok [a-z]+ 64\n",
    r"good ok\n1 unsupported\n",
    r"",
    rf'\{{"type":"{TYPE_PREFIX}unsupported-type".*--data-binary @photo.jpg.*\}}',
    r"",
    r"mr-[\w-]{43}\n",
)
"""What each block writes, with the small models of the tests."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    config = tiny_config(tmp_path_factory.mktemp("service"))
    names = {"classification": "mobilenet", "segmentation": "unet"}
    models = tuple(model.model_copy(update={"name": names.get(Path(model.package).name)}) for model in config.models)
    with http_service(config.model_copy(update={"models": models})) as running:
        yield running


def test_every_block_is_expected() -> None:
    assert [language for language, _ in documented_blocks("HTTP")] == ["sh", "python", "python", "sh", "sh", "sh", "sh"]


@pytest.mark.parametrize("index", range(len(EXPECTED)))
def test_examples_run_as_they_stand(service: HttpService, tmp_path: Path, index: int) -> None:
    language, text = documented_blocks("HTTP")[index]
    text = text.replace("http://127.0.0.1:8000", service.url)
    (tmp_path / "photo.jpg").write_bytes(png_bytes(1))
    command = [sys.executable, "-W", "error", "-c", text] if language == "python" else ["bash", "-ec", text]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(EXPECTED[index], done.stdout, re.DOTALL), done.stdout
    for name in ("overlay.png", "why.png"):
        if name in text:
            with Image.open(tmp_path / name) as picture:
                assert picture.mode == "RGB"


def test_every_kind_of_error_is_told() -> None:
    kinds = {found.kind for found in (*vars(errors).values(), HeadTooLargeError) if hasattr(found, "http_status")}
    assert {kind for kind in kinds if f"`{kind}`" not in SERVING.read_text(encoding="utf-8")} == set()
