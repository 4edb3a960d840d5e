"""Segments as they are recorded: the one place where attributes become the text of a category."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from ..errors import InputError
from .hashing import LONGEST_VISITOR, canonical_visitor

__all__ = ["LONGEST_SEGMENT", "Segments", "segment_text", "segments_of"]

LONGEST_SEGMENT = LONGEST_VISITOR
"""Most bytes in UTF-8 of a segment's name or value: what a store's column of ids takes."""


class Segments(NamedTuple):
    """The segments of an exposure in text, by name in order, and why others are left out, a sentence each."""

    kept: dict[str, str]
    dropped: tuple[str, ...]


def segment_text(value: object) -> str | None:
    """The category that an attribute stands for; None where it is missing (None, or empty text).

    Text is kept as it is, without case folding. True and False are `true` and `false`. Integers and Decimals are their
    digits without exponent or trailing zeros, so that 20, Decimal("20.00") and "20" are one category. Binary
    floating-point numbers are no categories: 0.1 + 0.2 would be one of its own.

    Raises:
        InputError: another type, more than 255 bytes in UTF-8, NUL, a lone surrogate, a Decimal that is not finite.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        value = _digits(value)
    elif not isinstance(value, str | int):
        raise InputError(
            f"a segment is text, a whole number, a Decimal or true/false, seen a value of type {type(value).__name__}",
            hint='Give the category as text, such as "1 to 3 orders".',
        )
    if isinstance(value, str) and not value:
        return None
    try:
        return canonical_visitor(value)
    except InputError as error:
        raise InputError(error.message.replace("a visitor id", "a segment")) from error


def segments_of(attributes: object) -> Segments:
    """All segments that can be kept; an exposure is worth more than its segments, so the others are left out.

    Args:
        attributes: name -> value, as in `Assignment.segments`.
    """
    kept: dict[str, str] = {}
    dropped: list[str] = []
    if not isinstance(attributes, Mapping):
        return Segments(kept, (f"segments are a mapping of name to value, seen a {type(attributes).__name__}",))
    for name, value in attributes.items():
        try:
            key, text = _checked_name(name), segment_text(value)
        except InputError as error:
            shown = name[:100] if isinstance(name, str) else f"of type {type(name).__name__}"
            dropped.append(f"segment {shown!r}: {error.message}")
        else:
            if text is not None:
                kept[key] = text
    return Segments({name: kept[name] for name in sorted(kept)}, tuple(dropped))


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise InputError("its name must be text")
    try:
        return canonical_visitor(name)
    except InputError as error:
        raise InputError(error.message.replace("a visitor id", "its name")) from error


def _digits(number: Decimal) -> str:
    # Looked at before it is written out: 1e999999 has a million digits.
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise InputError(f"a segment must be a finite number, seen {number}")
    if max(len(digits) + exponent, -exponent) > LONGEST_SEGMENT:
        raise InputError(
            f"a segment has at most {LONGEST_SEGMENT} bytes in UTF-8, seen {number.adjusted()} as exponent"
        )
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
