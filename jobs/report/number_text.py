"""Numbers as people read them: grouped digits, few places, a unit."""

from __future__ import annotations

from bisect import bisect_right

NOTHING = "–"  # noqa: RUF001 an en dash stands for "no value"
BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def count_text(count: int) -> str:
    """1234567 as ``1,234,567``."""
    return f"{count:,}"


def plural(count: int, word: str) -> str:
    """``1 hole`` and ``12,408 holes``."""
    return f"{count_text(count)} {word}{'' if count == 1 else 's'}"


def share_text(share_frac: float | None) -> str:
    """0.1234 as ``12.3 %``; what is neither nothing nor everything never reads as such."""
    if share_frac is None:
        return NOTHING
    if 0 < share_frac < 0.001:
        return "< 0.1 %"
    if 0.999 < share_frac < 1:
        return "> 99.9 %"
    return f"{100 * share_frac:.1f} %"


def score_text(score: float | None) -> str:
    """A score with four places."""
    return NOTHING if score is None else f"{score:.4f}"


def quantity_text(value: float | None) -> str:
    """A size such as a mean height: grouped, one place below a hundred."""
    if value is None:
        return NOTHING
    return f"{value:,.1f}" if abs(value) < 100 and value % 1 else f"{value:,.0f}"


def rate_text(per_s: float) -> str:
    """Images per second with three digits or more."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def bytes_text(num_bytes: float | None) -> str:
    """1234567 as ``1.23 MB``; units of a thousand."""
    if num_bytes is None:
        return NOTHING
    power = bisect_right([999.5 * 1000**k for k in range(len(BYTE_UNITS) - 1)], num_bytes)
    return f"{num_bytes / 1000**power:.3g} {BYTE_UNITS[power]}"


def ms_text(milliseconds: float | None) -> str:
    """Milliseconds with three digits, as seconds from 1,000 on."""
    if milliseconds is None:
        return NOTHING
    if milliseconds >= 60_000:
        return duration_text(milliseconds / 1000)
    return f"{milliseconds / 1000:.3g} s" if milliseconds >= 999.5 else f"{milliseconds:.3g} ms"


def duration_text(seconds: float) -> str:
    """A length of time: ``12.3 s``, ``3 min 07 s``, ``2 h 05 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def small_text(value: float | None) -> str:
    """Any number with about four digits."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 1000 else f"{value:.4g}"


def hours_text(hours: float) -> str:
    """0.00512 as ``0.0051``, 123.4 as ``123``."""
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.2g}" if hours < 1 else f"{hours:.3g}"


def price_text(price: float) -> str:
    """A price with two places, more where it is less than a tenth."""
    return f"{price:,.2f}" if price >= 0.1 or not price else f"{price:.2g}"
