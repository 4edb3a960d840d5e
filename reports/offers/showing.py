"""How the parts put numbers: an estimate with its interval, money of weeks, and why there is none."""

from __future__ import annotations

import math

from .. import format as fmt
from .tree import Estimate, SetEstimate

__all__ = ["amount", "bounds", "estimate_in_words", "money", "part_note", "probability", "set_in_words"]


def bounds(found: Estimate, unit: str) -> str:
    """The interval; "" where there is none."""
    return "" if found.low is None and found.high is None else fmt.interval(found.low, found.high, unit)


def estimate_in_words(found: Estimate, unit: str) -> str:
    """The estimate, and its interval in brackets."""
    if found.estimate is None:
        return fmt.ABSENT
    half = fmt.half_width(found.low, found.high)
    shown = fmt.lift(found.estimate, half) if unit == "lift" else fmt.change(found.estimate, unit, half)
    interval = bounds(found, unit)
    return f"{shown} ({interval})" if interval else shown


def amount(x: float | None, currency: str, half: float | None = None) -> str:
    """An amount of many visitors: rounded to two digits of its uncertainty, no cents above ten."""
    if x is None:
        return fmt.ABSENT
    size = abs(x) if half is None else half
    if size >= 10 and math.isfinite(size):
        unit = 10.0 ** (math.floor(math.log10(size)) - 1)
        x = round(x / unit) * unit
        return fmt.change(x, currency).removesuffix(".00")
    return fmt.change(x, currency)


def money(found: Estimate, currency: str) -> tuple[str, str]:
    """An amount of many visitors and its interval, apart."""
    if found.estimate is None:
        return fmt.ABSENT, ""
    half = fmt.half_width(found.low, found.high)
    if found.low is None or found.high is None:
        return amount(found.estimate, currency, half), ""
    ends = f"{amount(found.low, currency, half)} to {amount(found.high, currency, half)}"
    return amount(found.estimate, currency, half), ends


def part_note(status: str, reason: str) -> str:
    """Why a part has no numbers, as a sentence; "" where it has."""
    return "" if status == "ok" else reason


def probability(p: float | None) -> str:
    """A probability in percent; never 0 % or 100 %, which no data can show."""
    if p is None:
        return fmt.ABSENT
    if p > 0.999:
        return "> 99.9%"
    return "< 0.1%" if p < 0.001 else f"{p * 100:.1f}%"


def set_in_words(found: SetEstimate, unit: str) -> tuple[str, str]:
    """A ratio and its set, apart; the reason where there is none."""
    if found.kind == "undefined" or found.estimate is None:
        return fmt.ABSENT, found.reason
    half = fmt.half_width(found.low, found.high) if found.kind == "bounded" else None

    def show(x: float) -> str:
        if unit == "lift":
            return fmt.lift(x, half)
        return fmt.percent(x, half) if unit == "share" else fmt.level(x, unit, half)

    if found.kind == "complement":
        return show(found.estimate), "unbounded"
    if found.low is None and found.high is None:
        return show(found.estimate), "unbounded"
    if found.high is None:
        return show(found.estimate), f"from {show(found.low or 0.0)}, no upper end"
    if found.low is None:
        return show(found.estimate), f"up to {show(found.high)}, no lower end"
    return show(found.estimate), f"{show(found.low)} to {show(found.high)}"
