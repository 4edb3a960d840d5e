"""Money in whole minor units of its currency, so that sums are exact on every engine."""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from functools import cache, lru_cache

from ..errors import InputError
from ..experiments.currencies import MINOR_DIGITS, minor_digits

__all__ = ["LARGEST", "check_currency", "major_units", "minor_units", "parse_minor_units"]

LARGEST = 2**53
"""Most minor units of one amount: up to here a double holds every integer, so no engine rounds."""

_CODE = re.compile(r"[A-Z]{3}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_TOLERANCE, _EXACTLY = Decimal("1e-9"), Decimal(0)
# The context of the program would round; this one never has to.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def check_currency(currency: str) -> str:
    """The currency, if it is one of ISO 4217, in use or withdrawn.

    Raises:
        InputError: it is not three capital letters, or no country's money has that code.
    """
    if not isinstance(currency, str) or not _CODE.fullmatch(currency):
        raise InputError(f"a currency is an ISO 4217 code of three capitals such as EUR, seen {currency!r}")
    if currency not in _currencies():
        raise InputError(f"no currency has the ISO 4217 code {currency!r}", hint="Write for example EUR, USD or GBP.")
    return currency


@cache
def _currencies() -> frozenset[str]:
    # Loaded by the first check only: Babel is slow to import.
    from babel.numbers import list_currencies

    # XXX is "no currency", XTS is for tests: neither can be a shop's.
    return (frozenset(list_currencies()) | MINOR_DIGITS.keys()) - {"XXX", "XTS"}


def minor_units(amount: Decimal | int, currency: str) -> int:
    """Whole minor units of an amount in major units: 29.90 EUR is 2990.

    Raises:
        InputError: a type other than Decimal and int, a NaN or infinity, a fraction of a minor unit, or more than 2⁵³
            minor units.
    """
    if type(amount) is Decimal:
        return _scale(amount, currency, amount, _EXACTLY)
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        raise InputError(
            f"money must be Decimal or int, seen {amount!r} of type {type(amount).__name__}",
            hint='Write Decimal("29.90"): a float does not hold cents exactly.',
        )
    if isinstance(amount, int) and abs(amount) > LARGEST:
        raise _too_large(amount)
    return _scale(Decimal(amount), currency, amount, _EXACTLY)


@lru_cache(maxsize=65_536)
def parse_minor_units(text: str, currency: str) -> int:
    """Whole minor units of an amount written in a file.

    A printed double such as 29.990000000000002 is taken for 29.99: it is a whole number of minor units within 1e-9.

    Raises:
        InputError: not a finite decimal number with a point, a fraction of a minor unit, or more than 2⁵³ minor units.
    """
    stripped = text.strip()
    if not stripped:
        raise InputError("an amount is empty; write 0 where there is none")
    if not _NUMBER.fullmatch(stripped):
        raise InputError(f"an amount must be a finite number such as 29.90, seen {text!r}")
    return _scale(Decimal(stripped), currency, text, _TOLERANCE)


def major_units(amount: int, currency: str) -> Decimal:
    """The amount in major units, exactly: 2990 in EUR is 29.90."""
    return Decimal(amount).scaleb(-minor_digits(currency))


def _scale(amount: Decimal, currency: str, seen: object, tolerance: Decimal) -> int:
    if not amount.is_finite():
        raise InputError(f"an amount must be finite, seen {seen}")
    if not amount:
        return 0
    # Before anything of that size is computed: 1e999 has a thousand digits, and so has what 1e-999 is a fraction of.
    places = minor_digits(currency)
    size = amount.adjusted() + places
    if size > 16:
        raise _too_large(seen)
    whole, rest = 0, 1
    if size >= 0:
        numerator, denominator = amount.as_integer_ratio()
        whole, rest = divmod(numerator * 10**places, denominator)
    if rest:
        scaled = _EXACT.scaleb(amount, places)
        whole = int(scaled.to_integral_value(ROUND_HALF_EVEN))
        if not _EXACT.subtract(scaled, whole).copy_abs() <= tolerance:
            raise InputError(f"{currency} has {places} decimal places, seen {seen}; a part of a minor unit is refused")
    if abs(whole) > LARGEST:
        raise _too_large(seen)
    return whole


def _too_large(seen: object) -> InputError:
    # Python refuses to print an integer of thousands of digits.
    shown = f"an integer of {seen.bit_length()} bits" if isinstance(seen, int) else str(seen)[:60]
    return InputError(f"an amount has at most 2**53 minor units, seen {shown}")
