"""The examples of docs/serving.md for clients of the Open Inference Protocol, run as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve.listener import Addresses
from tests.drawn_images import png_bytes
from tests.serve.listening_service import listening_service
from tests.serve.tiny_service import tiny_config

pytestmark = pytest.mark.integration

SERVING = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
SECTION = re.compile(r"^## Open Inference Protocol v2$(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECTED = (
    r"\[b'green' b'[a-z]+'\] \[0\.\d+ +0\.\d+\]\n",
    r"\(4, 2\) \[b'ok' b'ok' b'ok' b'ok'\]\n",
    r"b'ok' \(20, 24\)\nb'unsupported' None\n",
    r'.*"outputs":\[\{"name":"label","datatype":"BYTES","shape":\[1,2\],"data":\["green","[a-z]+"\]\}\]\}',
)
"""What each block writes, with the small models of the tests."""


def blocks() -> list[tuple[str, str]]:
    """Languages and texts of the section's blocks."""
    found = SECTION.search(SERVING.read_text(encoding="utf-8"))
    assert found, "docs/serving.md has a section on the protocol"
    return BLOCK.findall(found[1])


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    config = tiny_config(tmp_path_factory.mktemp("service"))
    names = {"tiny-classification": "mobilenet", "tiny-segmentation": "unet"}
    models = [
        model.model_copy(update={"name": names.get(f"tiny-{Path(model.package).name}")}) for model in config.models
    ]
    with listening_service(config.model_copy(update={"models": tuple(models)})) as addresses:
        yield addresses


def test_every_block_is_expected() -> None:
    assert [language for language, _ in blocks()] == ["python", "python", "python", "sh"]
    assert len(blocks()) == len(EXPECTED)


@pytest.mark.parametrize("index", range(len(EXPECTED)))
def test_examples_run_as_they_stand(addresses: Addresses, tmp_path: Path, index: int) -> None:
    language, text = blocks()[index]
    text = text.replace("127.0.0.1:8000", addresses.url.removeprefix("http://"))
    text = text.replace("127.0.0.1:8001", str(addresses.grpc_address))
    (tmp_path / "photo.jpg").write_bytes(png_bytes(1))
    command = [sys.executable, "-c", text] if language == "python" else ["bash", "-c", text]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(EXPECTED[index], done.stdout), done.stdout
