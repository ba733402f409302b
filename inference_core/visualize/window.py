"""A window on this machine's display, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np

from inference_core.errors import ConfigError
from inference_core.records import Uint8Array

ESCAPE, QUIT = 27, ord("q")
MAX_WINDOW_HW = (800, 1280)
"""Larger pictures are shown smaller; the window can be drawn larger."""
PROBE = "import cv2; cv2.namedWindow('millrace'); cv2.destroyAllWindows()"
PROBE_TIMEOUT_S = 20.0
PICTURES = "millrace"
"""The window that shows picture after picture."""


def check_display(*, key: str) -> None:
    """Raise ConfigError where no window can be opened.

    Args:
        key: the option that asks for one.

    Cost: starts a process that opens a window, for Qt ends the one that asks where it cannot reach a display.
    """
    names = [name for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)]
    if sys.platform not in ("win32", "darwin") and not names:
        raise ConfigError(
            "needs a display, got none (DISPLAY is not set); write a file with --save or --out and open that", key=key
        )
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
        reason = "" if probe.returncode == 0 else reason_of(probe.stderr)
    except subprocess.TimeoutExpired:
        reason = "it does not answer"
    if reason:
        display = ", ".join(f"{name}={os.environ[name]}" for name in names)
        raise ConfigError(
            f"needs a display that opens windows, got {display or 'none'} ({reason}); correct it, or write a file with "
            "--save or --out and open that",
            key=key,
        )


def reason_of(output: str) -> str:
    """Why no window was opened, in the words of OpenCV or Qt."""
    if "not implemented" in output:
        return "this OpenCV has no windows: install opencv-python in the place of opencv-python-headless"
    lines = [line.strip() for line in output.splitlines() if "display" in line.lower() or "could not" in line.lower()]
    return lines[0] if lines else "no window can be opened"


class PictureWindow:
    """A window that shows one picture after the other.

    Args:
        title: of the window; the same title is the same window.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._is_open = False

    def show(self, picture: Uint8Array, *, wait_ms: int, title: str = "") -> bool:
        """Show a picture.

        Args:
            picture: (H, W, 3) uint8 RGB.
            wait_ms: how long to wait for a key; 0 until there is one.
            title: what stands above it; "" for the window's own.

        Returns:
            Whether to go on: False where q or Escape was pressed, or the window was closed.

        Raises:
            ConfigError: OpenCV has no windows.
        """
        try:
            if not self._is_open:
                self._open(image_hw=(picture.shape[0], picture.shape[1]))
            if title:
                cv2.setWindowTitle(self._title, title)
            cv2.imshow(self._title, np.ascontiguousarray(picture[..., ::-1]))
            pressed = cv2.waitKey(wait_ms) & 0xFF
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1 and pressed not in (ESCAPE, QUIT)
        except cv2.error as exc:
            raise ConfigError(
                "needs an OpenCV that opens windows, got one that does not; install opencv-python in the place of "
                "opencv-python-headless, or write a file",
                key="--show",
            ) from exc

    def close(self) -> None:
        """Take the window away, if it is there."""
        if self._is_open and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1:
            cv2.destroyWindow(self._title)
        self._is_open = False

    def _open(self, *, image_hw: tuple[int, int]) -> None:
        """Open it in the size of a picture, or as large as most screens are."""
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        scale = min(1.0, *(limit / side for limit, side in zip(MAX_WINDOW_HW, image_hw, strict=True)))
        cv2.resizeWindow(self._title, max(1, round(image_hw[1] * scale)), max(1, round(image_hw[0] * scale)))
        self._is_open = True


def show_picture(picture: Uint8Array, *, title: str) -> bool:
    """Show a picture until a key is pressed, in one window for all, which ends with the process.

    A window that opens when the last one has closed is at times never painted by Qt.

    Args:
        picture: (H, W, 3) uint8 RGB.
        title: of the window.

    Returns:
        Whether to show more, see ``PictureWindow.show``.
    """
    window = PictureWindow(PICTURES)
    return window.show(picture, wait_ms=0, title=title)
