from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.errors import NotAcceptableError
from serve.media_types import parse_accept, parse_media_type
from serve.offers import OFFERS, choose_offer, wants_plain_json

SEGMENTATION, DETECTION, CLASSIFICATION = (OFFERS[task] for task in ("segmentation", "detection", "classification"))


@pytest.mark.parametrize(
    ("accept", "view", "chosen"),
    [
        ("", "", "application/json"),
        ("*/*", "", "application/json"),
        ("*/*", "overlay", "image/png; view=overlay"),
        ("*/*", "scores", "application/x-npy; view=scores"),
        ("image/*", "", "image/png; view=mask"),
        ("image/png", "overlay", "image/png; view=overlay"),
        ("image/png; view=overlay", "", "image/png; view=overlay"),
        ('image/png; view="overlay"', "", "image/png; view=overlay"),
        ("application/json;q=0.5, image/png", "", "image/png; view=mask"),
        ("application/json, image/png;q=0.9", "", "application/json"),
        ("image/png;view=mask;q=0.2, image/png;view=overlay;q=0.7", "", "image/png; view=overlay"),
        ("*/*, application/json;q=0", "", "image/png; view=mask"),
        ("image/png;q=0, */*;q=0.1", "mask", "application/x-npy; view=mask"),
        ("application/json; charset=utf-8", "", "application/json"),
        ("APPLICATION/X-NPY", "", "application/x-npy; view=mask"),
        (" , text/html , application/json;q=0.1,", "", "application/json"),
    ],
)
def test_what_segmentation_gives(accept: str, view: str, chosen: str) -> None:
    assert str(choose_offer(accept.encode(), view=view, offers=SEGMENTATION)) == chosen


def test_a_picture_of_boxes_is_an_overlay() -> None:
    assert str(choose_offer(b"image/png", view="", offers=DETECTION)) == "image/png; view=overlay"


@pytest.mark.parametrize(
    ("accept", "view"),
    [
        ("text/html", ""),
        ("image/png", ""),
        ("application/json;q=0", ""),
        ("application/json", "mask"),
        ("application/json;q=2", ""),
        ("application", ""),
        ("a/b c/d", ""),
        ("a/b," * 100, ""),
    ],
)
def test_what_classification_does_not_give(accept: str, view: str) -> None:
    with pytest.raises(NotAcceptableError, match="accept must"):
        choose_offer(accept.encode(), view=view, offers=CLASSIFICATION)


def test_the_usual_headers_need_no_reading() -> None:
    assert wants_plain_json(b"", "")
    assert wants_plain_json(b"*/*", "")
    assert not wants_plain_json(b"*/*", "mask")
    assert not wants_plain_json(b"image/png", "")


@given(text=st.text(st.characters(max_codepoint=255), max_size=80))
def test_any_header_is_read_or_refused(text: str) -> None:
    ranges = parse_accept(text)
    assert ranges is None or all(0 <= media_range.quality <= 1 for media_range in ranges)
    parse_media_type(text)


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('Multipart/Form-Data;charset=utf-8 ; Boundary="a b\\"c"', 'a b"c'),
        ("multipart/form-data;", None),
    ],
)
def test_parameters(text: str, boundary: str | None) -> None:
    found = parse_media_type(text)
    assert found is not None
    assert found.essence == "multipart/form-data"
    assert found.parameters.get("boundary") == boundary
