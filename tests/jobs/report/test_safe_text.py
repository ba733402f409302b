from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.report.safe_text import FORMULA_STARTS, csv_cell, visible_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("a.jpg", "a.jpg", id="plain"),
        pytest.param("a=b", "a=b", id="sign-inside"),
        pytest.param("=1+1", "'=1+1", id="equals"),
        pytest.param("+1", "'+1", id="plus"),
        pytest.param("-1", "'-1", id="minus"),
        pytest.param("@SUM(A1)", "'@SUM(A1)", id="at"),
        pytest.param("\t=1", "'\t=1", id="tab"),
        pytest.param("\uff1d1", "'\uff1d1", id="full-width"),
    ],
)
def test_a_cell_never_begins_a_formula(text: str, expected: str) -> None:
    assert csv_cell(text) == expected


@given(st.text())
def test_a_cell_is_the_text_or_the_text_after_an_apostrophe(text: str) -> None:
    cell = csv_cell(text)
    assert not cell.startswith(FORMULA_STARTS)
    assert cell in (text, f"'{text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("caf\u00e9 \u732b \u0642\u0637\u0629", "caf\u00e9 \u732b \u0642\u0637\u0629", id="scripts"),
        pytest.param("a\r\nb\x00", "a\\r\\nb\\x00", id="control"),
        pytest.param("a\u202eb\u2066c", "a\\u202eb\\u2066c", id="bidirectional"),
        pytest.param("a\u200bb\ufeff", "a\\u200bb\\ufeff", id="zero-width"),
        pytest.param("\udce4", "\\udce4", id="surrogate-of-an-undecodable-file-name"),
        pytest.param("\U0001f469\u200d\U0001f52c", "\U0001f469\u200d\U0001f52c", id="emoji-joiner-stays"),
    ],
)
def test_hidden_characters_are_shown(text: str, expected: str) -> None:
    assert visible_text(text) == expected


@given(st.text())
def test_what_is_shown_can_be_printed_and_stays_as_it_is(text: str) -> None:
    shown = visible_text(text)
    shown.encode("utf-8")
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert visible_text(shown) == shown
