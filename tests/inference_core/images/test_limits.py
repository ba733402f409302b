"""Limits hold at their edges and say which setting to raise."""

from __future__ import annotations

import pytest

from inference_core.errors import ConfigError, TooLargeError
from inference_core.images.limits import Limits


@pytest.mark.parametrize("name", ["max_bytes", "max_pixels", "max_side_px", "max_frames"])
def test_limits_must_be_positive(name):
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        Limits(**{name: 0})


def test_bytes():
    Limits(max_bytes=10).check_bytes(10)
    with pytest.raises(TooLargeError, match="size in bytes must be at most 10, got 11; raise max_bytes"):
        Limits(max_bytes=10).check_bytes(11)


def test_pixels():
    Limits(max_pixels=100).check_size(width=10, height=10)
    with pytest.raises(TooLargeError, match="pixels of 10x11 must be at most 100, got 110; raise max_pixels"):
        Limits(max_pixels=100).check_size(width=10, height=11)


@pytest.mark.parametrize(("width", "height"), [(1, 21), (21, 1)])
def test_side(width, height):
    Limits(max_side_px=20).check_size(width=20, height=20)
    with pytest.raises(TooLargeError, match="must be at most 20, got 21; raise max_side_px"):
        Limits(max_side_px=20).check_size(width=width, height=height)


def test_frames():
    Limits(max_frames=3).check_frames(3)
    with pytest.raises(TooLargeError, match="number of frames must be at most 3, got 4; raise max_frames"):
        Limits(max_frames=3).check_frames(4)
