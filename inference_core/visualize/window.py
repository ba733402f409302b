"""A window on this machine's display, where there is one."""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

from inference_core.errors import ConfigError
from inference_core.records import Uint8Array

ESCAPE, QUIT = 27, ord("q")


def check_display(*, key: str) -> None:
    """Raise ConfigError where no window can be opened.

    Args:
        key: the option that asks for one.
    """
    has_display = sys.platform in ("win32", "darwin") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_display:
        raise ConfigError(
            "needs a display, got none (DISPLAY is not set); write a file with --save or --out and open that", key=key
        )


def show_picture(picture: Uint8Array, *, title: str, wait_ms: int) -> bool:
    """Show a picture in the window of a title.

    Args:
        picture: (H, W, 3) uint8 RGB.
        title: of the window; the same title is the same window.
        wait_ms: how long to wait for a key; 0 until there is one.

    Returns:
        Whether to go on: False where q or Escape was pressed, or the window was closed.

    Raises:
        ConfigError: OpenCV has no windows.
    """
    try:
        cv2.imshow(title, np.ascontiguousarray(picture[..., ::-1]))
        pressed = cv2.waitKey(wait_ms) & 0xFF
        is_open = cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error as exc:
        raise ConfigError(
            "needs an OpenCV that opens windows, got one that does not; install opencv-python in the place of "
            "opencv-python-headless, or write a file",
            key="--show",
        ) from exc
    return is_open and pressed not in (ESCAPE, QUIT)
