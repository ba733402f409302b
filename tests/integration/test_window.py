"""``--show`` on a real display: a virtual one, whose pixels a file holds."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.serve.drawn_videos import encode_video
from tests.tiny_models import tiny_classifier

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from inference_core.cli import main; main()"
SCREEN_WH = (640, 480)
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Display:
    """A virtual display."""

    name: str
    pixels_file: Path
    """In the format of xwd: a header and a colour table, then blue, green, red and nothing for each pixel."""

    def screenshot(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of all that is shown."""
        width, height = SCREEN_WH
        data = self.pixels_file.read_bytes()
        head = struct.unpack_from("!20I", data)  # its own size first, the number of colours last
        pixels = np.frombuffer(data, np.uint8, 4 * width * height, head[0] + 12 * head[19])
        return pixels.reshape(height, width, 4)[..., 2::-1]

    def press(self, key: str) -> None:
        """Press a key over the window at the top left: without a window manager keys go where the pointer is."""
        command = ["xdotool", "mousemove", "20", "20", "key", key]
        subprocess.run(command, env={**os.environ, "DISPLAY": self.name}, check=True, timeout=30)

    @contextmanager
    def run(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """The command on this display, which is ended with the context."""
        command = [sys.executable, "-c", MAIN, *map(str, arguments), "--device", "cpu", "--threads", "1"]
        environment = {**os.environ, "DISPLAY": self.name}
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as started:
            try:
                yield started
            finally:
                started.kill()

    def wait_for(self, is_it: Callable[[NDArray[np.uint8]], bool]) -> NDArray[np.uint8]:
        """The first screenshot that is what is waited for."""
        end_s = time.monotonic() + PATIENCE_S
        while not is_it(shot := self.screenshot()):
            assert time.monotonic() < end_s, "the screen did not become what it should"
            time.sleep(0.1)
        return shot


@pytest.fixture(scope="module")
def display(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    """Skips where there is no virtual display, but in CI."""
    program = shutil.which("Xvfb")
    if program is None or shutil.which("xdotool") is None:
        message = "the tests of windows need a virtual display; as root: .ci/install-display"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("display")
    screen = f"{SCREEN_WH[0]}x{SCREEN_WH[1]}x24"
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", screen, "-fbdir", str(folder), "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    try:
        os.close(writing)
        with os.fdopen(reading) as told:
            number = told.readline().strip()
        yield Display(f":{number}", folder / "Xvfb_screen0")
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("model"))


def test_a_video_plays_in_a_window_until_q_is_pressed(display: Display, model: Path, tmp_path: Path) -> None:
    video = encode_video(tmp_path / "long.mp4", codec="libx264", num_frames=3000, preset="ultrafast")  # two minutes
    with display.run("video", video, "--model", model, "--show") as command:
        # A frame in its own size, without a toolbar above it; the pointer, which is drawn too, is in the middle.
        display.wait_for(lambda shot: shot[:48, :64].any(axis=2).mean() > 0.9 and not shot[48:100].any())
        display.press("q")
        printed, told = command.communicate(timeout=PATIENCE_S)
    assert (command.returncode, told) == (0, "")
    report = json.loads(printed)
    assert 0 < report["frames"] < 3000
    assert report["broken"] == ""
    display.wait_for(lambda shot: not shot[:48, 40:64].any())


def test_a_picture_stays_until_a_key_is_pressed(display: Display, model: Path, tmp_path: Path) -> None:
    for name, color in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (300, 200), color).save(tmp_path / name)
    with display.run("predict", tmp_path / "a.png", tmp_path / "b.png", "--model", model, "--show") as command:
        display.wait_for(lambda shot: (shot == (255, 0, 0)).all(axis=2).sum() > 40_000)
        display.press("space")
        display.wait_for(lambda shot: (shot == (0, 0, 255)).all(axis=2).sum() > 40_000)
        display.press("q")
        printed, told = command.communicate(timeout=PATIENCE_S)
    assert (command.returncode, told) == (0, "")
    assert len(printed.splitlines()) == 2


def test_a_display_that_does_not_answer_is_named(display: Display, model: Path, tmp_path: Path) -> None:
    absent = Display(":4711", display.pixels_file)
    with absent.run("video", tmp_path / "no.mp4", "--model", model, "--show") as command:
        printed, told = command.communicate(timeout=PATIENCE_S)
    assert (command.returncode, printed) == (2, "")
    assert re.match(
        r"error: --show: needs a display that opens windows, got DISPLAY=:4711 \(.*could not connect to display :4711\)"
        r"; correct it, or write a file with --save or --out",
        told,
    )
