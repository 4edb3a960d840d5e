"""Numbers for people: rounded to their uncertainty, money with its currency, signs that can be told apart.

JSON never passes through here; it carries every digit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from ..experiments.currencies import minor_digits

__all__ = [
    "ABSENT",
    "change",
    "count",
    "duration",
    "half_width",
    "interval",
    "join",
    "label",
    "level",
    "lift",
    "lift_in_words",
    "lift_interval",
    "loss",
    "moment",
    "p_value",
    "percent",
    "quote",
    "setting",
]

ABSENT = "–"
MINUS = "−"
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹", "KRW": "₩", "PLN": "zł "}
_DURATIONS = (("day", 86_400_000_000), ("hour", 3_600_000_000), ("minute", 60_000_000), ("second", 1_000_000))


def count(n: float) -> str:
    """A whole number with thousands separators; a half as .5."""
    return f"{n:,.0f}" if float(n).is_integer() else f"{n:,.1f}"


def percent(x: float | None, half: float | None = None, *, signed: bool = False) -> str:
    """A share as a percentage; `half` is the half-width of its interval, as a share."""
    if x is None:
        return ABSENT
    digits = _digits(None if half is None else half * 100, least=0, most=3)
    return _signed(f"{abs(x) * 100:,.{digits}f}%", x, signed)


def setting(x: float) -> str:
    """A share that somebody set, such as a margin, with the digits that it has."""
    return f"{x * 100:.6g}%"


def loss(x: float | None, unit: str, half: float | None = None) -> str:
    """An expected loss; one that would round to nothing is "< " the smallest that shows."""
    if x is None:
        return ABSENT
    text = change(x, unit, half).lstrip("+")
    if x <= 0 or any(digit in text for digit in "123456789"):
        return text
    head, tail = text.rstrip("%p ")[:-1], text[len(text.rstrip("%p ")) :]
    return f"< {head}1{tail}"


def lift(x: float | None, half: float | None = None) -> str:
    """A lift as a signed percentage; one decimal where its uncertainty is not bounded."""
    return percent(x, half or 0.05, signed=True)


def level(x: float | None, unit: str, half: float | None = None) -> str:
    """A metric's value in its unit."""
    return ABSENT if x is None else _in_unit(x, unit, half, signed=False)


def change(x: float | None, unit: str, half: float | None = None) -> str:
    """A difference in the metric's unit, signed; shares in percentage points (pp)."""
    if x is None:
        return ABSENT
    if unit == "share":
        return _signed(f"{abs(x) * 100:,.{_digits(None if half is None else half * 100, 0, 4)}f} pp", x, True)
    return _in_unit(x, unit, half, signed=True)


def interval(low: float | None, high: float | None, unit: str) -> str:
    """An interval of differences (`unit` "lift": of lifts) as "a to b"; an end that does not exist is said."""
    half = half_width(low, high)

    def show(x: float) -> str:
        said = _shown(x, unit, half)
        # An end that rounds to zero keeps the digit that tells on which side of zero it lies.
        return said if x == 0 or any(digit in said for digit in "123456789") else _shown(x, unit, abs(x))

    if low is None and high is None:
        return "no bounds"
    if low is None and high is not None:
        return f"up to {show(high)}"
    if high is None and low is not None:
        return f"from {show(low)} up"
    assert low is not None
    assert high is not None
    return f"{show(low).removesuffix(' pp')} to {show(high)}"


def _shown(x: float, unit: str, half: float | None) -> str:
    return lift(x, half) if unit == "lift" else change(x, unit, half)


def lift_interval(kind: str, low: float | None, high: float | None) -> str:
    """What is known of a lift's interval; what is not bounded is said."""
    if kind == "complement":
        return f"all but {interval(low, high, 'lift')}"
    if kind == "unbounded":
        return "unbounded" if low is None and high is None else f"unbounded: {interval(low, high, 'lift')}"
    return interval(low, high, "lift")


def lift_in_words(kind: str, estimate: float | None, low: float | None, high: float | None) -> str:
    """A lift with its interval; an estimate that does not exist, as without conversions in the control, is left out."""
    if kind == "undefined":
        return "undefined"
    known = lift_interval(kind, low, high)
    if estimate is None:
        return known
    return f"{lift(estimate, half_width(low, high) if kind == 'bounded' else None)}, {known}"


def half_width(low: float | None, high: float | None) -> float | None:
    """Half the width of an interval; None where it has no width."""
    if low is None or high is None:
        return None
    return (high - low) / 2 or None


def p_value(p: float | None) -> str:
    """A p-value with two significant digits, without the leading zero."""
    if p is None:
        return ABSENT
    if p < 0.0001:
        return "< .0001"
    if p > 0.9995:
        return "1"
    digits = max(3, 1 - math.floor(math.log10(p)))
    return f"{p:.{min(digits, 5)}f}".lstrip("0")


def duration(microseconds: int) -> str:
    """A duration in words: "14 days", "36 hours", "1 day 6 hours"."""
    if microseconds == 0:
        return "0 seconds"
    parts = []
    rest = microseconds
    for name, size in _DURATIONS:
        n, rest = divmod(rest, size)
        if n:
            parts.append(f"{n:,} {name}{'' if n == 1 else 's'}")
    return " ".join(parts) or f"{microseconds:,} microseconds"


def moment(at: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return ABSENT if at is None else f"{at.astimezone(UTC):%-d %B %Y, %H:%M} UTC"


def label(name: str) -> str:
    """A metric's or a check's name in words."""
    return name.replace("_", " ")


def quote(name: str) -> str:
    """An arm's name as it stands in a sentence."""
    return f"“{name}”"


def join(words: Sequence[str], last: str = "and") -> str:
    """A list in a sentence: "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def _in_unit(x: float, unit: str, half: float | None, *, signed: bool) -> str:
    if unit == "share":
        return percent(x, half, signed=signed)
    if unit in ("per visitor", "ratio"):
        return _signed(f"{abs(x):,.{_digits(half, least=1, most=5, otherwise=3)}f}", x, signed)
    exponent = minor_digits(unit)
    # Money is read to the cent; more decimals only where the uncertainty is below a few cents.
    coarse = None if half is None else half * 10
    digits = _digits(coarse, least=exponent, most=exponent + 2, otherwise=exponent)
    return _signed(f"{_SYMBOLS.get(unit, unit + ' ')}{abs(x):,.{digits}f}", x, signed)


def _digits(half: float | None, least: int, most: int, otherwise: int | None = None) -> int:
    """Decimals that show two significant digits of the uncertainty."""
    if half is None or half <= 0 or not math.isfinite(half):
        return min(most, max(least, 2)) if otherwise is None else otherwise
    return min(most, max(least, 1 - math.floor(math.log10(half))))


def _signed(text: str, x: float, signed: bool) -> str:
    if not any(digit in text for digit in "123456789"):
        return text
    if x < 0:
        return MINUS + text
    return "+" + text if signed else text
