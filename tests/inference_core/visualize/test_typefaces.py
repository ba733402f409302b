from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from inference_core.visualize.lettering import fitted, load_font, printable, text_size, write
from inference_core.visualize.typefaces import FACES, OWN, face_for, has_letter, load_face, with_known_letters

HAS_DEJAVU = load_face("DejaVuSans.ttf", 10.0) is not None
needs_dejavu = pytest.mark.skipif(not HAS_DEJAVU, reason="neither Matplotlib nor the system brings DejaVu")


@pytest.mark.parametrize("text", ["", "cat", "<script>alert(1)</script>", "cut off…"])
def test_ascii_is_shown_by_the_font_that_is_always_there(text: str) -> None:
    assert face_for(text) == OWN
    assert with_known_letters(text) == text


@needs_dejavu
@pytest.mark.parametrize("text", ["Straße", "кошка", "Ελλάδα", "שלום", "قطة"])
def test_other_letters_are_shown_by_a_font_that_has_them(text: str) -> None:
    assert face_for(text) == "DejaVuSans.ttf"
    assert with_known_letters(text) == text


@needs_dejavu
def test_letters_and_their_accents_are_one() -> None:
    assert with_known_letters("Mu\u0308ller") == "M\u00fcller"


@pytest.mark.parametrize(
    ("text", "shown"), [("\U000f0000", "U+F0000"), ("a \U000f0000\U000f0001", "a U+F0000U+F0001"), ("é", "U+00E9")]
)
def test_letters_that_no_font_has_are_told_apart_by_their_codes(text: str, shown: str) -> None:
    assert with_known_letters(text, faces=[OWN]) == shown


def test_a_font_that_the_machine_lacks_has_no_letters() -> None:
    assert load_face("no such font.ttf", 12.0) is None
    assert not has_letter("no such font.ttf", "a")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("line\nbreak\ttab\x07", "line break tab ", id="control"),
        pytest.param("photo\u202egpj.exe", "photo gpj.exe", id="turned-around"),
        pytest.param("x" * 300, "x" * 59 + "…", id="long"),
    ],
)
def test_a_name_is_one_line(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(max_size=40), st.integers(1, 200))
def test_what_is_fitted_is_no_wider(text: str, max_width_px: int) -> None:
    font = load_font(13)
    assert text_size(fitted(printable(text), font, max_width_px=max_width_px), font)[0] <= max_width_px


@pytest.mark.parametrize("text", ["cat", "Straße 0.50", "שלום 0.50"])
def test_letters_lie_where_they_were_measured(text: str) -> None:
    font = load_font(20)
    image = Image.new("RGB", (400, 60))
    write(ImageDraw.Draw(image), (10, 30), printable(text), font=font, fill=(255, 255, 255), anchor="lm")
    box = image.getbbox()
    assert box is not None
    width, height = text_size(printable(text), font)
    assert box[0] >= 8
    assert box[2] <= 10 + width + 3
    assert box[3] - box[1] <= height + 4


def test_the_first_font_is_pillow_s_own() -> None:
    assert FACES[0] == OWN
