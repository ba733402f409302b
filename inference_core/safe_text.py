"""File names, labels and error texts made harmless: they come from strangers and go to spreadsheets and browsers."""

from __future__ import annotations

import unicodedata

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 spreadsheets take full-width signs too
"""What makes a spreadsheet run a cell. Source: OWASP, CSV Injection."""

HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that show nothing or change the order of what is shown."""
JOINERS = "\u200c\u200d"
"""Parts of many scripts and emoji, although of category Cf."""


def csv_cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would run it as a formula.

    Example:
        >>> csv_cell("=1+1")
        "'=1+1"
    """
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def visible_text(text: str) -> str:
    r"""The text with control, bidirectional and other hidden characters written as escapes.

    A name such as ``cod<U+202E>gpj.exe`` would otherwise show its end backwards.

    Example:
        >>> visible_text("a\nb")
        'a\\nb'
    """
    return "".join(_escape(char) if _is_hidden(char) else char for char in text)


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in HIDDEN_CATEGORIES and char not in JOINERS


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
