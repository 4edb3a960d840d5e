"""What the cells of a file mean."""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import InputError

__all__ = ["LARGEST_NUMBER", "SMALLEST_NUMBER", "flushed", "parse_flag", "parse_number", "parse_whole"]

LARGEST_NUMBER = 1e60
"""Largest absolute value of a covariate: sums of its cubes must still be numbers that a database can hold."""

SMALLEST_NUMBER = 1e-60
"""What is smaller is 0: PostgreSQL refuses to compute a cube that underflows."""

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_FLAGS = {"1": True, "true": True, "yes": True, "1.0": True, "0": False, "false": False, "no": False, "0.0": False}


@lru_cache(maxsize=1024)
def parse_flag(text: str) -> bool:
    """Whether a cell says yes: 1, true, yes or 1.0, in any case; 0, false, no or 0.0 say no.

    Raises:
        InputError: it says something else, or nothing.
    """
    try:
        return _FLAGS[text.strip().casefold()]
    except KeyError:
        raise InputError(f"a conversion is one of 0, 1, true, false, yes, no; seen {text!r}") from None


def parse_number(text: str) -> float | None:
    """The number in a cell; None where the cell is empty.

    Raises:
        InputError: not a finite decimal number with a point, or larger than 1e60.
    """
    stripped = text.strip()
    if not stripped:
        return None
    # float() also reads nan, inf, 1_000 and digits of other scripts.
    if not _NUMBER.fullmatch(stripped) or not abs(value := float(stripped)) <= LARGEST_NUMBER:
        raise InputError(f"a number must be finite and at most 1e60, such as 12.5; seen {text!r}")
    return flushed(value)


def flushed(value: float) -> float:
    """The value, or 0 where it is too small to be told from it (and -0 is 0)."""
    return value if abs(value) >= SMALLEST_NUMBER else 0.0


def parse_whole(text: str) -> int | None:
    """The whole number in a cell; None where the cell is empty.

    Raises:
        InputError: it is not one.
    """
    value = parse_number(text)
    if value is None:
        return None
    if not value.is_integer() or abs(value) >= 2**53:
        raise InputError(f"a whole number is needed, seen {text!r}")
    return int(value)
