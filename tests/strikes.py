"""Ways to bring a process down, and filters that do so when they see one colour; without torch."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from inference_core.records import Uint8Array

POISON_RGB = (255, 0, 255)
"""An image of this colour alone is deadly."""
HOG_BYTES = 1 << 30
"""Memory that ``hog`` takes before its process is killed, as on a machine that has no more."""


def strike(how: str) -> None:
    """Bring this process down, or never return."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "abort":
        os.abort()
    elif how == "exit":
        sys.exit(0)
    elif how == "memory":
        take_memory(most_bytes=None)
    elif how == "hog":
        take_memory(most_bytes=HOG_BYTES)
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "sleep":
        time.sleep(3600)
    elif how == "refuse":
        raise ValueError("this image is poison")


def take_memory(*, most_bytes: int | None) -> None:
    """Take memory, 8 MiB at a time, up to a limit or without end."""
    taken: list[Uint8Array] = []
    while most_bytes is None or len(taken) << 23 < most_bytes:
        taken.append(np.ones(8 << 20, np.uint8))


def strike_poison(pixels: Uint8Array, *, how: str) -> Uint8Array:
    """A filter: native code of a decoder that fails, as far as anybody else can tell."""
    if (pixels == np.array(POISON_RGB, np.uint8)).all():
        strike(how)
    return pixels


def strike_scores(outputs: Mapping[str, Any], *, how: str) -> Any:
    """A decoder: native code of a model's library that fails on poison, the one image that is both red and blue."""
    (logits,) = outputs.values()  # (B, 3): red, green, blue
    if ((logits[:, 0] > logits[:, 1] + 3) & (logits[:, 2] > logits[:, 1] + 3)).any():
        strike(how)
    return logits


def strike_on_order(pixels: Uint8Array, *, order: str) -> Uint8Array:
    """The same, but how is read from a file each time: one package for runs that are disturbed and that are not.

    Args:
        pixels: an image.
        order: path of the file, which holds a word that ``strike`` knows, or ``none``.
    """
    if (pixels == np.array(POISON_RGB, np.uint8)).all():
        strike(Path(order).read_text().strip())
    return pixels


def strike_once(pixels: Uint8Array, *, marker: str) -> Uint8Array:
    """A filter that kills its process at the first poison, and lets all later ones through.

    Args:
        pixels: an image.
        marker: path of a file that is made then.
    """
    if (pixels == np.array(POISON_RGB, np.uint8)).all():
        with suppress(FileExistsError):
            Path(marker).touch(exist_ok=False)
            strike("kill")
    return pixels
