from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core.given_images import default_id, uri_of


@pytest.mark.parametrize(
    ("image", "expected_id", "expected_uri"),
    [
        pytest.param(b"", "7", "", id="bytes"),
        pytest.param("/a/b.png", "/a/b.png", "file:///a/b.png", id="path"),
        pytest.param(Path("/a/../b.png"), "/a/../b.png", "file:///b.png", id="unclean-path"),
        pytest.param("s3://bucket/b.png", "s3://bucket/b.png", "s3://bucket/b.png", id="uri"),
        pytest.param("s3://k:secret@bucket/b", "s3://***@bucket/b", "s3://***@bucket/b", id="credentials"),
        pytest.param("", "", "", id="empty"),
    ],
)
def test_what_an_image_is_called(image: Any, expected_id: str, expected_uri: str) -> None:
    assert (default_id(image, 7), uri_of(image)) == (expected_id, expected_uri)
