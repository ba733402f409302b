"""``millrace stream`` and a browser's WebSocket against a service that really listens."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from inference_core.predictor import Predictor
from serve.config import ServeConfig
from serve.key_file import add_key
from serve.listener import Addresses
from tests.drawn_images import png_bytes
from tests.integration.documented import documented_blocks
from tests.serve.drawn_videos import draw_video, frame_pixels
from tests.serve.listening_service import listening_service
from tests.serve.tiny_service import tiny_packages

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
NUM_FRAMES = 8
EXPECTED = (
    rf"(?: +\d\.\d00 s  frame \d +\w+ \d\.\d{{3}}  \(\d+ ms\)\n){{{NUM_FRAMES}}}",
    "ready\n0 ok\n1 unsupported\n2 answered, 0 dropped\n",
)
"""What the examples of the documentation write."""
MAIN = "from inference_core.cli import main; main()"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_packages(tmp_path_factory.mktemp("packages"))["classification"]


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.yaml"


@pytest.fixture(scope="module")
def key(key_file: Path) -> str:
    return add_key(key_file, "player", per_minute=None, burst=None)


@pytest.fixture(scope="module")
def addresses(package: Path, key_file: Path, key: str) -> Iterator[Addresses]:
    settings = {
        "models": [{"package": str(package), "num_threads": 1}],
        "http": {"port": 0},
        "grpc": {"is_on": False},
        "security": {"keys_file": str(key_file)},
        "limits": {"max_image_bytes": 50_000, "max_body_bytes": 60_000},
    }
    with listening_service(ServeConfig.model_validate(settings)) as addresses:
        yield addresses


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_video(tmp_path_factory.mktemp("video") / "clip.mkv", NUM_FRAMES)


def stream(*arguments: object, key: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-c", MAIN, "stream", *map(str, arguments)],
        cwd=ROOT,
        env={"PATH": "", "MILLRACE_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_frame_has_the_answer_of_its_pixels(
    addresses: Addresses, package: Path, video: Path, key: str, tmp_path: Path
) -> None:
    saved = tmp_path / "rows.jsonl"
    ended = stream(video, "--url", addresses.url, "--drop", "never", "--encode", "png", "--show", "rows",
                   "--save", saved, key=key)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = [json.loads(line) for line in saved.read_text().splitlines()]
    predictor = Predictor.load(package, device="cpu", num_threads=1)
    assert [message["frame_index"] for message in told] == list(range(NUM_FRAMES))
    assert [message["time_s"] for message in told] == [pytest.approx(index / 10) for index in range(NUM_FRAMES)]
    for index, message in enumerate(told):
        expected = predictor.predict(frame_pixels(index)).result
        found = message["prediction"]["top_k"]
        assert [entry["label"] for entry in found] == list(expected.labels)  # type: ignore[union-attr]
        assert [entry["score"] for entry in found] == expected.scores.tolist()  # type: ignore[union-attr]
    lines = ended.stdout.splitlines()
    assert len(lines) == NUM_FRAMES
    assert all(message["prediction"]["label"] in line for message, line in zip(told, lines, strict=True))
    assert f"{NUM_FRAMES} frames sent, {NUM_FRAMES} ok, 0 failed, 0 dropped" in ended.stderr


def test_a_video_is_played_in_its_own_time_and_thinned_where_asked(addresses: Addresses, video: Path, key: str) -> None:
    ended = stream(video, "--url", addresses.url.replace("http", "ws"), "--fps", 5, key=key)
    assert ended.returncode == 0, ended.stderr
    sums = ended.stderr.split()
    assert sums[:3] == [str(NUM_FRAMES // 2), "frames", "sent,"]
    assert int(sums[3]) + int(sums[7]) == NUM_FRAMES // 2  # ok and dropped
    assert float(sums[10]) >= 0.6  # the time of the last of these frames


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("{video}", "--url", "{url}", "--model", "nope"),
            "model must be one of tiny-classification, got",
            id="model",
        ),
        pytest.param(("{none}", "--url", "{url}"), "source: nothing is stored at", id="source"),
        pytest.param(("{video}", "--url", "ws://127.0.0.1:9"), "url: must be that of a running service, got", id="url"),
        pytest.param(
            ("{video}", "--url", "{url}", "--save", "/"), "save: must be a file that can be written, got /", id="save"
        ),
    ],
)
def test_mistakes_are_one_sentence(
    addresses: Addresses, video: Path, key: str, arguments: tuple[str, ...], message: str
) -> None:
    filled = [part.format(video=video, url=addresses.url, none=video.with_name("none.mp4")) for part in arguments]
    ended = stream(*filled, key=key)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: {message}")
    assert ended.stderr.count("\n") == 1


def test_a_wrong_key_is_told_in_the_services_words(addresses: Addresses, video: Path) -> None:
    ended = stream(video, "--url", addresses.url, key="wrong")
    assert ended.returncode == 2
    assert "API key must be one that this service knows" in ended.stderr


@pytest.mark.parametrize("index", range(len(EXPECTED)))
def test_examples_of_the_documentation_run(
    addresses: Addresses, video: Path, key: str, tmp_path: Path, index: int
) -> None:
    language, text = [block for block in documented_blocks("Streaming") if block[0] in ("sh", "python")][index]
    text = text.replace("ws://127.0.0.1:8000", addresses.url.replace("http", "ws"))
    text = text.replace("mobilenet", "tiny-classification")
    (tmp_path / "photo.jpg").write_bytes(png_bytes(1))
    (tmp_path / "clip.mp4").write_bytes(video.read_bytes())
    if language == "python":
        text = text.replace('/v1/stream")', f"/v1/stream\", additional_headers={{'x-api-key': '{key}'}}, proxy=None)")
        command = [sys.executable, "-c", text]
    else:
        program, *arguments = shlex.split(text)
        assert program == "millrace"
        command = [sys.executable, "-c", MAIN, *arguments]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"PATH": "", "MILLRACE_API_KEY": key, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(EXPECTED[index], done.stdout), done.stdout


def test_a_browser_gives_its_key_as_a_subprotocol(addresses: Addresses, key: str) -> None:
    url = addresses.url.replace("http", "ws") + "/v1/stream"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, proxy=None)
    assert refused.value.response.status_code == 401
    problem: dict[str, Any] = json.loads(refused.value.response.body or b"")
    assert problem["type"] == "urn:millrace:problem:unauthorized"
    origin = addresses.url
    with connect(url, subprotocols=["millrace.v1", f"millrace.key.{key}"], origin=origin, proxy=None) as socket:  # type: ignore[arg-type, list-item]
        assert socket.subprotocol == "millrace.v1"
        socket.send('{"type": "hello"}')
        assert json.loads(socket.recv())["type"] == "ready"
        socket.send(png_bytes(1))
        assert json.loads(socket.recv())["prediction"]["label"] == "green"
        socket.send(bytes(50_001))
        assert "frame must be at most 50000 bytes" in json.loads(socket.recv())["problem"]["detail"]
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
