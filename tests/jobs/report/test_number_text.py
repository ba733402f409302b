from __future__ import annotations

from collections.abc import Callable

import pytest

from jobs.report.number_text import (
    NOTHING,
    bytes_text,
    count_text,
    duration_text,
    ms_text,
    quantity_text,
    rate_text,
    score_text,
    share_text,
)


@pytest.mark.parametrize(
    ("show", "value", "expected"),
    [
        (count_text, 0, "0"),
        (count_text, 1234567, "1,234,567"),
        (share_text, None, NOTHING),
        (share_text, 0.0, "0.0 %"),
        (share_text, 1e-9, "< 0.1 %"),
        (share_text, 0.1234, "12.3 %"),
        (share_text, 0.9999999, "> 99.9 %"),
        (share_text, 1.0, "100.0 %"),
        (score_text, None, NOTHING),
        (score_text, 0.12345, "0.1235"),
        (quantity_text, None, NOTHING),
        (quantity_text, 12.0, "12"),
        (quantity_text, 12.34, "12.3"),
        (quantity_text, 1234.5678, "1,235"),
        (rate_text, 0.0, "0"),
        (rate_text, 3.14159, "3.14"),
        (rate_text, 1234.5, "1,234"),
        (bytes_text, None, NOTHING),
        (bytes_text, 0, "0 B"),
        (bytes_text, 999, "999 B"),
        (bytes_text, 999_900, "1 MB"),
        (bytes_text, 1_234_567, "1.23 MB"),
        (bytes_text, 5e15, "5 PB"),
        (ms_text, None, NOTHING),
        (ms_text, 0.12345, "0.123 ms"),
        (ms_text, 999.9, "1 s"),
        (ms_text, 1234.0, "1.23 s"),
        (ms_text, 60_000.0, "1 min 00 s"),
        (duration_text, 0.0, "0.0 s"),
        (duration_text, 59.94, "59.9 s"),
        (duration_text, 59.96, "1 min 00 s"),
        (duration_text, 187.0, "3 min 07 s"),
        (duration_text, 3599.6, "1 h 00 min"),
        (duration_text, 360_000.0, "100 h 00 min"),
    ],
)
def test_numbers_read_well(show: Callable[[float | None], str], value: float | None, expected: str) -> None:
    assert show(value) == expected
