"""A policy that means nothing is refused when it is made."""

from __future__ import annotations

import pytest

from inference_core.errors import ConfigError, DecodeError
from inference_core.images.policy import DecodePolicy


@pytest.mark.parametrize(
    ("name", "choices"),
    [("alpha", "white, black, drop"), ("cmyk", "profile, naive"), ("depth", "type_range, image_range")],
)
def test_unknown_choice(name, choices):
    with pytest.raises(ConfigError, match=f"{name} must be one of {choices}, got 'pink'"):
        DecodePolicy(**{name: "pink"})


def test_negative_page():
    with pytest.raises(ConfigError, match="page must be at least 0, got -1"):
        DecodePolicy(page=-1)


def test_pages_that_an_image_lacks():
    DecodePolicy(page=2).check_page(3)
    with pytest.raises(DecodeError, match="page must be less than 2, got 2; this image has 2"):
        DecodePolicy(page=2).check_page(2)
